"""Which stack a command acts on, and what it says when none is named."""

from __future__ import annotations

import json
import stat

import pytest
from runbook_outputs import ENTITY, outputs

from runbook.aws import outputs as targets
from runbook.errors import UsageError
from runbook.stack import resolve

ENDPOINT = "http://127.0.0.1:1"


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(outputs(ENDPOINT)))
    return path


@pytest.fixture
def pulumi(tmp_path, monkeypatch):
    """Puts a program called pulumi on the PATH that does what the test gives it."""

    def put(script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        program = folder / "pulumi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return put


def _says(caught: pytest.ExceptionInfo[UsageError]) -> str:
    return f"{caught.value.message} {caught.value.remedy}"


def test_a_file_with_outputs_is_read(saved):
    found = resolve(outputs=saved)
    assert (found.stack, found.endpoint_url, found.entity(None).legacy_read_function) == (
        "test",
        ENDPOINT,
        "legacy-read-1",
    )
    chefs = found.entity(ENTITY)
    assert (chefs.read_function, chefs.reads_variable, chefs.bridge_mapping_id) == ("read-1", "chefs_reads", "")


def test_copy_and_gate_are_named_by_the_outputs_and_empty_without_the_bridge():
    raw = {key: value for key, value in outputs(ENDPOINT).items() if key not in ("copyFunction", "gateFunction")}
    without = targets.parse(raw, "x")
    assert (without.copy_function, without.gate_function) == ("", "")
    found = targets.parse({**raw, "copyFunction": "copy-1", "gateFunction": "gate-1"}, "x")
    assert (found.copy_function, found.gate_function) == ("copy-1", "gate-1")


def test_a_stack_is_asked_of_pulumi_by_its_name(saved, pulumi):
    pulumi(f'test "$*" = "stack output --json --stack dev" && cat {saved}')
    assert resolve(stack="dev").stack == "test"


def test_what_pulumi_says_is_passed_on(pulumi):
    pulumi("echo \"error: no stack named 'dev' found\" >&2; exit 255")
    with pytest.raises(UsageError) as caught:
        resolve(stack="dev")
    assert "--stack dev" in _says(caught)
    assert "no stack named 'dev' found" in _says(caught)
    assert "pulumi stack ls" in _says(caught)


def test_without_pulumi_the_other_option_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        resolve(stack="dev")
    assert "--outputs FILE" in _says(caught)


def test_two_targets_are_one_too_many(saved):
    with pytest.raises(UsageError, match="--stack and --outputs"):
        resolve("dev", saved)


def test_the_running_sandbox_is_found_from_any_folder_below(saved, tmp_path):
    home = tmp_path / ".sandbox" / "mine"
    home.mkdir(parents=True)
    (tmp_path / ".sandbox" / "current").write_text("mine\n")
    saved.rename(home / "outputs.json")
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert resolve(folder=deep).stack == "test"


def test_without_a_sandbox_every_way_to_a_target_is_named(tmp_path):
    with pytest.raises(UsageError) as caught:
        resolve(folder=tmp_path)
    for way in ("sandbox up", "--stack NAME", "--outputs FILE"):
        assert way in _says(caught)


def test_a_sandbox_that_is_gone_is_none(tmp_path):
    (tmp_path / ".sandbox").mkdir()
    (tmp_path / ".sandbox" / "current").write_text("gone")
    with pytest.raises(UsageError, match="no sandbox is running"):
        resolve(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{not json", "not JSON"),
        ("[1]", "not one JSON object"),
        ("{}", "missing: stack, region"),
        (json.dumps(outputs(ENDPOINT, mapping={"chefs": {"legacy": {}}})), "chefs"),
    ],
)
def test_outputs_that_cannot_be_used_are_named_with_the_option(tmp_path, text, part):
    path = tmp_path / "o.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        resolve(outputs=path)
    assert "--outputs" in _says(caught)
    assert part in _says(caught)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        resolve(outputs=tmp_path / "none.json")


def test_one_entity_needs_no_name_and_an_unknown_one_is_reported_with_the_known(saved):
    found = resolve(outputs=saved)
    assert found.entity(None).name == ENTITY
    with pytest.raises(UsageError) as caught:
        found.entity("cheffs")
    assert "--entity cheffs" in _says(caught)
    assert ENTITY in _says(caught)


def test_of_several_entities_one_must_be_named():
    raw = outputs(ENDPOINT)
    other = json.loads(json.dumps(raw["mapping"][ENTITY]))
    other["legacy"]["table"], other["modern"]["table"] = "dishtable", "dish"
    found = targets.parse({**raw, "mapping": {ENTITY: raw["mapping"][ENTITY], "dishes": other}}, "x")
    with pytest.raises(UsageError) as caught:
        found.entity(None)
    assert "chefs, dishes" in _says(caught)
    assert [one.name for one in found.chosen(None)] == ["chefs", "dishes"]


def test_the_secret_key_is_not_shown():
    assert "hidden-key" not in repr(targets.parse(outputs(ENDPOINT, secretAccessKey="hidden-key"), "x"))
