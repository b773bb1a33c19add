"""`kill -9` during a switch of writes, right before and after its changes: the same command again completes it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from journal_states import gate_phases
from killed import changes_of, killed_around, turning_points
from sweep import EVERY, OFTEN
from writes_world import ENTITY, LEGACY, MODERN, control, first_name, stands, switch, write

from runbook.aws.api_gateway import Side
from runbook.checks import heartbeat
from runbook.cutover.command import Scope
from runbook.cutover.steps import Choices
from runbook.stack import Context
from runbook.verify import run as verify

CHOICES = Choices(propagation_wait=0.0, warm=0, reads_stay=True)
GATE_EVERY = 4 * EVERY - 1  # of the gate's records, which are all written at each change of phase, one in so many


@pytest.fixture
def sure_heartbeat(monkeypatch):
    """The heartbeat is sent before anything begins; it has tests of its own, and takes a second."""
    monkeypatch.setattr(heartbeat, "send", lambda *_, **__: heartbeat.Arrival(True, 0.0))


def _points(changes: Sequence[str]) -> list[tuple[int, bool]]:
    """Where to kill: the number of a change, and whether after it; of those that decide, one in OFTEN."""
    gate = [(at, False) for at, kind in enumerate(changes) if kind == "gate"]
    others = [(at, False) for at, kind in enumerate(changes) if kind == "journal"]
    return [*turning_points(changes)[::OFTEN], *gate[::GATE_EVERY], *others[::EVERY]]


def _demand_clean(context: Context, verb: str, generation: int) -> None:
    """All is as after one clean run."""
    state, routes = context.journal.state(ENTITY), context.routing.routes(context.target.entity(ENTITY))
    assert (state.operation, state.lock) == (None, None)
    found = control(context)
    assert gate_phases(context, ENTITY) == {state.phase}
    if verb == "cutover":
        assert (stands(context), found.epoch) == (MODERN, 0)
    else:
        assert (stands(context), routes.reads, state.reads) == (LEGACY, Side.LEGACY, 0)
        assert found.epoch == found.last_epoch == generation + 1
    assert verify.run(context, context.target.entity(ENTITY), verify.VerifyOptions()).clean


@pytest.mark.sweep
@pytest.mark.parametrize(("verb", "scope"), [("cutover", Scope.WRITES), ("rollback", Scope.BOTH)])
def test_killed_around_any_change_the_same_command_again_ends_as_one_clean_run(
    live, chefs, sure_heartbeat, verb, scope
):
    def there():
        return switch(live, verb, scope, CHOICES)

    def other_way():
        if verb == "cutover":
            return switch(live, "rollback", Scope.BOTH, CHOICES).execute()
        switch(live, "cutover", Scope.WRITES, CHOICES).execute()
        return switch(live, "cutover", Scope.READS, CHOICES).execute()

    key = write(live, "first")
    if verb == "rollback":
        other_way()
    changes = changes_of(live, there().execute)
    assert {"phase", "fence", "journal", "gate"} <= set(changes)
    assert ("stage" in changes) == (scope == Scope.BOTH), "writes move without a stage variable"
    points = _points(changes)
    for point in points:
        other_way()
        generation, name = control(live).last_epoch, f"{verb}, {point}"
        write(live, name, key)
        assert killed_around(*point, live, there().execute), f"{point}: it was not killed"
        plan, done = there().plan(), there().execute()
        results = {"finished": "done", "undone": "undone", "": None}
        assert results[plan.pending_result] == (done.resumed.result if done.resumed else None), point
        assert bool(plan.steps) == done.changed, point
        _demand_clean(live, verb, generation)
        assert [first_name(live, system, key) for system in ("aurora", "dynamo")] == [name, name]
