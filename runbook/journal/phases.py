"""The legal transitions between phases, who makes each, and its condition; `Journal.enter` makes no other."""

from dataclasses import dataclass
from enum import StrEnum

from functions.domain.phase import Phase


class Direction(StrEnum):
    """In which direction an operation runs its steps."""

    DO = "do"
    UNDO = "undo"


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One legal change of a phase.

    It is made only while the journal's operation has this verb, is at this step, and runs in this direction: a request
    that is late by more than a step changes nothing. A resumed step may find that the phase is `target` already.

    Attributes:
        verb: of the command that makes it.
        step: of the operation, as the journal has it.
        when: what the operation has made sure of before.
    """

    source: Phase
    target: Phase
    verb: str
    step: str
    direction: Direction
    when: str

    @property
    def condition(self) -> str:
        """The condition expression on the journal's item, beside the one on the operator's lock."""
        return (
            "#phase IN (:source, :phase) AND #operation.#step = :step AND #operation.#direction = :direction "
            "AND #operation.#arguments.#verb = :verb"
        )


def _transition(source: Phase, target: Phase, verb: str, when: str, *, undoes: str = "") -> Transition:
    return Transition(
        source=source,
        target=target,
        verb=verb,
        step=undoes or f"phase-{target}",
        direction=Direction.UNDO if undoes else Direction.DO,
        when=when,
    )


TRANSITIONS = (
    _transition(
        Phase.LEGACY, Phase.SWITCHING, "cutover", "all checks hold, copy is right behind, public writes go to the gate"
    ),
    _transition(
        Phase.SWITCHING,
        Phase.LEGACY,
        "cutover",
        "a step before the commit failed, and the fence is down",
        undoes="phase-switching",
    ),
    _transition(Phase.SWITCHING, Phase.MODERN, "cutover", "the fence is up, the queue is empty, both sides are equal"),
    _transition(
        Phase.MODERN, Phase.RETURNING, "rollback", "all checks hold; without --force, the bridge is right behind"
    ),
    _transition(
        Phase.RETURNING,
        Phase.MODERN,
        "rollback",
        "a step before the commit failed, and the fence is up",
        undoes="phase-returning",
    ),
    _transition(Phase.RETURNING, Phase.LEGACY, "rollback", "the bridge has applied everything, and the fence is down"),
    _transition(Phase.MODERN, Phase.COMPLETE, "complete", "Aurora has everything, and the stream mapping is off"),
)


def transition(target: Phase, *, undoes: Phase | None = None) -> Transition:
    """The transition that enters a phase, or the one that undoes the step that entered `undoes`.

    Raises:
        KeyError: there is no such transition.
    """
    step, direction = (f"phase-{undoes}", Direction.UNDO) if undoes else (f"phase-{target}", Direction.DO)
    for each in TRANSITIONS:
        if (each.target, each.step, each.direction) == (target, step, direction):
            return each
    raise KeyError(f"no transition enters {target} at {step} ({direction})")


def markdown() -> str:
    """The table as docs/design.md shows it."""
    rows = [
        f"| {each.source} | {each.target} | `{each.verb}`, step `{each.step}` ({each.direction}) | {each.when} |"
        for each in TRANSITIONS
    ]
    return "\n".join(["| from | to | who | when |", "|---|---|---|---|", *rows])
