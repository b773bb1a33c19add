"""Wherever a switch is killed, a client reads its own acknowledged write, before the command is repeated."""

from __future__ import annotations

import time

import pytest
from journal_states import gate_phases
from killed import changes_of, killed_around, turning_points
from reads_world import reads
from sweep import EVERY
from writes_world import ENTITY, switch, write

from functions.domain.phase import Phase
from runbook.aws.http import path
from runbook.checks import heartbeat
from runbook.cutover.command import Scope
from runbook.cutover.steps import Choices
from runbook.stack import Context

CHOICES = Choices(propagation_wait=0.0, warm=0)
READY_SECONDS = 60.0  # before the kill, when nothing is in question
VISIBLE_SECONDS = 15.0  # copy and bridge need one or two; a schedule that calls copy's lanes, up to 60
HELD = frozenset({Phase.SWITCHING, Phase.RETURNING})  # the gate holds every write: none is acknowledged


class InvisibleError(Exception):
    """Public reads do not show an acknowledged write."""


@pytest.fixture
def sure_heartbeat(monkeypatch):
    """The heartbeat has tests of its own."""
    monkeypatch.setattr(heartbeat, "send", lambda *_, **__: heartbeat.Arrival(True, 0.0))


def _act(context: Context, verb: str) -> None:
    """Move writes, and with a rollback reads, too."""
    switch(context, verb, Scope.BOTH if verb == "rollback" else Scope.WRITES, CHOICES).execute()


def _prepare(context: Context, verb: str) -> None:
    """Reads on modern; writes on the side that the command moves them from."""
    if verb == "cutover":
        _act(context, "rollback")
    reads(context, 100).execute()
    if verb == "rollback":
        _act(context, "cutover")


def _demand_visible(context: Context, key: str, name: str, where: object, seconds: float = VISIBLE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while (seen := context.api.get(path(ENTITY, key))).body.get("firstName") != name:
        if time.monotonic() > deadline:
            raise InvisibleError(f"{where}: {name!r} was acknowledged, and a client reads {seen}")
        time.sleep(0.05)


@pytest.mark.sweep
@pytest.mark.parametrize("verb", ["cutover", pytest.param("rollback", marks=pytest.mark.long)])
def test_killed_around_any_turning_change_a_client_reads_its_own_write(live, chefs, sure_heartbeat, verb):
    key = write(live, "first")
    _prepare(live, verb)
    changes = changes_of(live, lambda: _act(live, verb))
    points = turning_points(changes)
    assert len(points) >= 6
    end = (len(changes) - 1, False)  # all has been changed but the end of the operation in the journal
    written = set[str]()
    for point in [*points[::EVERY], end]:
        _prepare(live, verb)
        name = f"{verb} {point}, before"
        write(live, name, key)
        _demand_visible(live, key, name, point, READY_SECONDS)
        assert killed_around(*point, live, lambda: _act(live, verb)), f"{point}: it was not killed"
        phases = gate_phases(live, ENTITY)
        if not phases & HELD:
            written |= phases
            name = f"{verb} {point}, after"
            write(live, name, key)
        _demand_visible(live, key, name, (point, phases))
        _act(live, verb)
        _demand_visible(live, key, name, f"{point}, repeated")
    assert written == {Phase.LEGACY, Phase.MODERN}
