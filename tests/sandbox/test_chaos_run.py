"""A short run of the chaos checker with a fixed seed, and what a run reports when it broke a promise."""

from __future__ import annotations

import os

import pytest
from rich.console import Console

from sandbox import lifecycle
from sandbox.chaos import report
from sandbox.chaos.checker import Found, Kind, Violation
from sandbox.chaos.migrated import AdoptedShop
from sandbox.chaos.run import Run, Settings, Verdict
from sandbox.load import History
from sandbox.load.records import PUT, Attempt, read

SEED = 6


@pytest.fixture
def name():
    found = f"test-{os.getpid()}-chaos"
    yield found
    lifecycle.down(found)


@pytest.mark.long
def test_over_and_back_under_load_and_faults_every_promise_is_kept(name, capsys):
    settings = Settings(seed=SEED, name=name, rows=60, writes=8, reads=12, poison=False, brief=True)
    verdict = Run(settings, print).go()
    assert [*verdict.problems, *map(str, verdict.violations)] == []
    assert verdict.injected
    assert verdict.history.waits().writes > 50
    assert [found.key for found in verdict.source]


@pytest.mark.long
def test_an_adopted_shop_goes_over_and_back_and_every_promise_is_kept(name):
    settings = Settings(
        seed=SEED, name=name, rows=60, writes=6, reads=8, poison=False, brief=True, migrated=AdoptedShop()
    )
    verdict = Run(settings, print).go()
    assert [*verdict.problems, *map(str, verdict.violations)] == []
    assert verdict.injected
    assert verdict.history.waits().writes > 50
    assert [found.key for found in verdict.source]


@pytest.fixture
def broken():
    attempt = Attempt(1, 1, PUT, "k", "v", 0.0, 1.0, 200)
    return Verdict(
        seed=3,
        violations=[Violation(Kind.LOST, "k", "holds nothing instead of v", [attempt])],
        problems=["it hung"],
        diary=["0.00 s  init"],
        injected={"kill_runbook": 2},
        switches=[("cutover writes", History([attempt]).waits())],
        history=History([attempt]),
        source=[Found("k", "w", "{}")],
    )


def test_a_broken_promise_leaves_all_that_is_needed_to_understand_it(broken, tmp_path):
    folder = report.keep(broken, tmp_path)
    assert folder.name == "seed-3"
    assert read(folder / "history.jsonl") == broken.history.attempts
    assert "holds nothing instead of v" in (folder / "violations.txt").read_text()
    assert "it hung" in (folder / "violations.txt").read_text()
    assert "init" in (folder / "diary.txt").read_text()
    assert "k" in (folder / "source.txt").read_text()


def test_the_table_shows_seed_faults_waits_and_verdict(broken):
    console = Console(record=True, width=120)
    console.print(report.table(broken))
    text = console.export_text()
    for part in ("seed 3 broke a promise", "kill_runbook 2", "longest wait in cutover writes", "1.00 s"):
        assert part in text
    assert not broken.held
    assert Verdict(seed=1).held


def test_of_many_violations_the_first_are_shown(broken):
    broken.violations = [Violation(Kind.STALE, str(number), "") for number in range(20)]
    shown = report.broken(broken)
    assert len(shown) == report.SHOWN + 1
    assert shown[-1] == "... and 16 more"
