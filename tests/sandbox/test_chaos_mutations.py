"""Each mutation is of the program as it is, is deployed from a copy, and gets the scenario that may show it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import product

import pytest

from sandbox.chaos import mutations
from sandbox.chaos.checker import Kind
from sandbox.chaos.commands import PROGRAM, opposite
from sandbox.chaos.faults import FAULTS
from sandbox.chaos.mutations import MUTATIONS, Change
from sandbox.chaos.run import Run, Settings
from sandbox.chaos.scenario import Variant, stretches
from sandbox.errors import SandboxError
from sandbox.state import PROJECT

NAMES = sorted(MUTATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_a_mutation_changes_what_it_names_and_nothing_else(name, tmp_path):
    mutations.apply(MUTATIONS[name], tmp_path)
    changed = {
        str(file.relative_to(tmp_path))
        for file in tmp_path.rglob("*.py")
        if file.read_text() != (PROJECT / file.relative_to(tmp_path)).read_text()
    }
    assert changed == {change.file for change in MUTATIONS[name].changes}
    for file in changed:
        compile((tmp_path / file).read_text(), file, "exec")


@pytest.mark.parametrize("text", ["is not there at all", "import"])
def test_a_text_that_is_not_there_once_is_an_error(text, tmp_path):
    change = Change(file="functions/domain/origin.py", text=text, instead="")
    with pytest.raises(SandboxError, match=r"functions/domain/origin\.py has \d+ times, not once"):
        mutations.apply(replace(MUTATIONS["origin"], changes=(change,)), tmp_path)


def test_the_copy_is_what_the_operator_runs(tmp_path):
    mutations.apply(MUTATIONS["origin"], tmp_path)
    show = [*PROGRAM[:2], "-c", "import functions, runbook; print(functions.__file__, runbook.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    shown = subprocess.run(show, env=environment, capture_output=True, text=True, check=True, cwd=PROJECT).stdout
    assert shown.split() == [str(tmp_path / name / "__init__.py") for name in ("functions", "runbook")]
    assert PROGRAM[0] == sys.executable


@pytest.mark.parametrize("name", NAMES)
def test_the_faults_that_a_mutation_favours_occur_without_it_too(name):
    plain = {
        fault for one in stretches("chefs", Variant(direct=True, removes=True, streams=True)) for fault in one.faults
    }
    assert set(MUTATIONS[name].favoured) <= plain <= set(FAULTS)


@pytest.mark.parametrize("name", [name for name in NAMES if MUTATIONS[name].favoured])
def test_favoured_faults_make_up_about_half_of_those_of_their_stretches(name):
    mutation = MUTATIONS[name]
    hit = [one for one in stretches("chefs", mutation.variant(Variant())) if set(mutation.favoured) & set(one.faults)]
    assert hit
    for one in hit:
        assert sum(fault in mutation.favoured for fault in one.faults) >= len(one.faults) / 3


@pytest.mark.parametrize("name", NAMES)
def test_only_what_shows_the_defect_counts_as_found(name):
    others = ["`runbook init` hung for 200 s", "`runbook cutover writes` ended with 4:\nlost: no", "failed: k: GET 500"]
    assert MUTATIONS[name].shown(others) == []
    shows = [f"{Kind.LOST}: 7: holds nothing instead of v", "`runbook verify --entity chefs` ended with 3:\n1 differs"]
    assert MUTATIONS[name].shown([*others, *shows]) == shows


def test_what_only_the_watch_sees_shows_a_defect_of_fence_or_triggers():
    fence, trigger = (
        "the fence is down in phase modern without an operation",
        "in phase legacy there is no chefs_insert",
    )
    assert [name for name in NAMES if MUTATIONS[name].shown([fence])] == ["fence"]
    assert [name for name in NAMES if MUTATIONS[name].shown([trigger])] == ["install"]


@pytest.mark.parametrize("cured", [True, False])
def test_a_mutation_is_deployed_unless_it_is_to_be_cured(cured, monkeypatch):
    programs = []
    monkeypatch.setattr(Run, "_run", lambda _, program: programs.append(program))
    settings = Settings(seed=1, mutation=MUTATIONS["lane"], cured=cured)
    Run(settings, print).go()
    assert (programs == [PROJECT]) is cured
    assert settings.variant == MUTATIONS["lane"].variant(Variant.of(1))


def test_seeds_draw_variants():
    drawn = {Variant.of(seed) for seed in range(100)}
    names = ("direct", "removes", "streams", "ranges")
    each = [dict(zip(names, some, strict=True)) for some in product((True, False), repeat=len(names))]
    assert drawn == {Variant(**one) for one in each}


def test_the_opposite_of_a_switch_of_writes_takes_it_back():
    words = {one.name: one.words for one in stretches("chefs", Variant(direct=True))}
    there, back = words["cutover writes"], words["rollback writes"]
    assert (opposite(there), opposite(back)) == (back, tuple(word for word in there if word != "--direct"))
    assert opposite(words["copy start"]) == words["copy start"]


def test_a_variant_changes_the_commands():
    plain = [one.words for one in stretches("chefs", Variant())]
    more = [one.words for one in stretches("chefs", Variant(direct=True, removes=True))]
    assert sum("--direct" in words for words in more) == 1
    assert not any("--direct" in words for words in plain)
    assert [words for words in more if "--remove-triggers" in words]
    ranges = [one.words for one in stretches("chefs", Variant(removes=True, ranges=True))]
    assert sum(words[:2] == ("copy", "start") and "ranges" in words for words in ranges) == 2
    assert not any("ranges" in words for words in more)


def test_faults_of_copys_workers_come_while_ranges_are_copied():
    watch = next(one for one in stretches("chefs", Variant(ranges=True)) if one.name == "copy watch")
    assert {"kill_lane", "pause_lane", "late_lane", "kill_workers", "lost_answer"} <= set(watch.faults)
