"""Where the pulumi CLI comes from, and how its events are read: none is needed for these."""

from __future__ import annotations

import pytest

from sandbox import lifecycle
from sandbox.cli import app
from sandbox.errors import SandboxError
from sandbox.pulumi_cli import programs
from sandbox.pulumi_cli.events import Events

URN = "urn:pulumi:sandbox::small::aws:s3/bucket:Bucket::failures"


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch):
    """A machine without pulumi and Go."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def program(path):
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def event(kind, op, at=0.0, type_="aws:s3/bucket:Bucket"):
    return {"timestamp": at, kind: {"metadata": {"op": op, "urn": URN, "type": type_}}}


def test_without_pulumi_and_go_the_error_says_how_to_get_one(bare):
    with pytest.raises(SandboxError, match=r"neither is Go .*Install pulumi, or Go .*make engine"):
        programs.make(bare / "cache")
    with pytest.raises(SandboxError, match=r"is needed and not here\. Install pulumi, or Go"):
        programs.locate(bare / "cache")


def test_a_go_that_cannot_build_it_is_named_with_its_last_words(bare):
    program(bare / "bin" / "go").write_text("#!/bin/sh\necho first >&2; echo no such module >&2; exit 1\n")
    with pytest.raises(SandboxError, match=r"Go could not build the pulumi CLI: no such module\."):
        programs.make(bare / "cache")
    assert not (bare / "cache" / "pulumi").exists()


def test_an_installed_one_is_taken_if_it_has_a_python_host(bare):
    installed = program(bare / "bin" / "pulumi")
    assert programs.find(bare / "cache") is None
    program(bare / "bin" / programs.HOST)
    assert programs.find(bare / "cache") == installed


def test_one_that_was_built_gets_a_host_of_this_python(bare):
    (bare / "cache" / "pulumi").mkdir(parents=True)
    built = program(bare / "cache" / "pulumi" / "pulumi")
    assert programs.find(bare / "cache") == built
    assert "sandbox.pulumi_cli.language_host" in (built.parent / programs.HOST).read_text()


def test_a_step_is_reported_when_it_ends_with_the_seconds_that_it_took():
    events = Events()
    assert events.step(event("resourcePreEvent", "create", at=5.0)) is None
    step = events.step(event("resOutputsEvent", "create", at=7.5))
    assert (step.change.value, step.name, step.seconds) == ("create", "failures", 2.5)


def test_a_replacement_is_one_step():
    found = [Events().step(event("resOutputsEvent", op)) for op in ("create-replacement", "replace", "delete-replaced")]
    assert [step.change.value for step in found if step] == ["replace"]


def test_components_and_providers_are_no_steps():
    kinds = ("streamback:api:Api", "pulumi:providers:aws", "pulumi:pulumi:Stack")
    assert [Events().step(event("resOutputsEvent", "create", type_=kind)) for kind in kinds] == [None] * 3


def test_errors_are_kept_with_their_urn_and_without_colours():
    events = Events()
    for message in ("<{%fg 1%}>it failed<{%reset%}>", "update failed"):
        events.message({"diagnosticEvent": {"severity": "error", "urn": URN, "message": message}})
    assert events.errors == [f"{URN}: it failed"]


def test_the_cli_on_a_sandbox_that_is_not_up_says_what_to_do():
    with pytest.raises(SandboxError, match="sandbox up --name test-nothing"):
        lifecycle.run_pulumi("test-nothing", ["stack", "output"])
    assert "pulumi" in {command.name for command in app.registered_commands}
