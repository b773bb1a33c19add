"""What foreign writers do to records, and when an effect counts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from functions.domain.phase import Phase
from sandbox.load.records import DELETE, GET, MAYBE, NOTHING, POST, PUT, UNAVAILABLE, Attempt

DONE = {POST: 201, PUT: 200, DELETE: 204, GET: 200}
NOT_FOUND = 404
TRUE_ROWS = frozenset({Phase.LEGACY, Phase.SWITCHING})  # phases in which a row that is not there is nowhere
CLIENT = 1000  # the number of the foreign client in the history; the load's own begin at 0


@dataclass(frozen=True)
class Effect:
    """What one call did, or would have done, to one record.

    Attributes:
        kind: POST, PUT, DELETE or GET.
        value: the unique value that it wrote or read; empty for a DELETE and for no record.
        found: whether the record was there; always true for a POST.
    """

    kind: str
    key: str
    value: str = ""
    found: bool = True

    @property
    def status(self) -> int:
        return DONE[self.kind] if self.found else NOT_FOUND


@dataclass(frozen=True)
class Call:
    """One call of a foreign writer.

    Attributes:
        effects: one for each record.
        begun, ended: seconds of the machine's monotonic clock.
        outcome: empty if it was acknowledged; NOTHING or MAYBE.
    """

    effects: Sequence[Effect]
    begun: float
    ended: float
    outcome: str = ""


def counted(call: Call, before: str, after: str, *, items: bool) -> Call:
    """The call as it counts, given the phase before and after it.

    An acknowledged SQL write counts always: whether it may take place is decided by the fence. One that found no row
    did not meet the fence, and says something only while legacy is the source of truth. An acknowledged write of
    an item counts while modern is the source of truth from its begin to its end. Otherwise it may become a conflict.
    A read counts if it was of the source of truth from its begin to its end.
    """
    side = Phase.MODERN if items else Phase.LEGACY
    stayed = before == after == side
    if not items and not {before, after} <= TRUE_ROWS and not _reads(call):
        return Call([one for one in call.effects if one.found], call.begun, call.ended, call.outcome)
    if stayed or call.outcome or not (items or _reads(call)):
        return call
    return Call(call.effects, call.begun, call.ended, NOTHING if _reads(call) else MAYBE)


def conflicting(call: Call) -> Call:
    """A write of items in phase legacy: it must leave the rows alone, so it counts as if nothing had been written."""
    return Call(call.effects, call.begun, call.ended, call.outcome or NOTHING)


def attempts(call: Call, operation: int) -> list[Attempt]:
    """The call in the history's format: one attempt a record, all of one operation."""
    return [
        Attempt(
            CLIENT,
            operation,
            one.kind,
            one.key,
            one.value,
            call.begun,
            call.ended,
            UNAVAILABLE if call.outcome else one.status,
            call.outcome,
        )
        for one in call.effects
    ]


def _reads(call: Call) -> bool:
    return all(one.kind == GET for one in call.effects)
