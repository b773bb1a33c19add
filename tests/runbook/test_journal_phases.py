"""The table of legal transitions, on a real DynamoDB API: `Journal.enter` makes each of them, and nothing else."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from journal_states import force_phase, gate_phases

from functions.domain.phase import Phase
from runbook.errors import LockLostError, PreconditionError
from runbook.journal import phases
from runbook.journal.lock import held
from runbook.journal.phases import TRANSITIONS, Direction, Transition
from runbook.journal.state import Operation

ENTITY = "chefs"
DESIGN = Path(__file__).parents[2] / "docs" / "design.md"
ILLEGAL = [pair for pair in product(Phase, Phase) if pair not in {(t.source, t.target) for t in TRANSITIONS}]


def _entered(context, transition: Transition, phase: Phase, **place):
    """Enter by a transition while the entity is in a phase and its operation at the transition's step, or elsewhere."""
    operation = Operation(
        id="1",
        command=transition.verb,
        arguments={"verb": place.get("verb", transition.verb)},
        operator="a",
        started_at="now",
        step=place.get("step", transition.step),
        direction=place.get("direction", transition.direction.value),
    )
    force_phase(context, ENTITY, phase)
    with held(context.journal, ENTITY, "me", "test") as lease:
        context.journal.write(lease.lock, ENTITY, {"operation": operation})
        context.journal.enter(lease.lock, ENTITY, transition)
    return _phases(context)


def _phases(context):
    """The phase by the journal's state and by the records that the gate obeys."""
    (gate,) = gate_phases(context, ENTITY)
    return context.journal.state(ENTITY).phase, gate


@pytest.mark.parametrize("transition", TRANSITIONS, ids=lambda t: f"{t.source}-{t.target}")
def test_each_legal_transition_is_made_for_the_journal_and_the_gate(bare, transition):
    assert _entered(bare, transition, transition.source) == (transition.target, transition.target)


@pytest.mark.parametrize("transition", TRANSITIONS, ids=lambda t: f"{t.source}-{t.target}")
def test_a_resumed_step_may_enter_the_phase_that_is_there_already(bare, transition):
    assert _entered(bare, transition, transition.target) == (transition.target, transition.target)


@pytest.mark.parametrize("transition", TRANSITIONS, ids=lambda t: f"{t.source}-{t.target}")
def test_from_any_other_phase_it_is_refused_and_nothing_is_written(bare, transition):
    for phase in set(Phase) - {transition.source, transition.target}:
        with pytest.raises(PreconditionError, match=f"is in phase {phase}"):
            _entered(bare, transition, phase)
        assert _phases(bare) == (phase, phase)


@pytest.mark.parametrize(("source", "target"), ILLEGAL)
def test_a_transition_that_is_not_in_the_table_is_refused(bare, source, target):
    made = Transition(
        source=source, target=target, verb="cutover", step=f"phase-{target}", direction=Direction.DO, when=""
    )
    with pytest.raises(ValueError, match="not a legal transition"):
        _entered(bare, made, source)
    assert _phases(bare) == (source, source)


@pytest.mark.parametrize("place", [{"step": "fence"}, {"direction": "undo"}, {"verb": "rollback"}])
def test_an_operation_that_is_elsewhere_changes_no_phase(bare, place):
    with pytest.raises(LockLostError):
        _entered(bare, phases.transition(Phase.MODERN), Phase.SWITCHING, **place)
    assert _phases(bare) == (Phase.SWITCHING, Phase.SWITCHING)


def test_the_table_in_the_docs_is_the_one_in_the_code():
    text = DESIGN.read_text()
    assert text.partition("<!-- phases -->\n")[2].partition("\n<!-- /phases -->")[0] == phases.markdown()
