"""Runs the ordered steps of a switch, journals each boundary, and resumes or undoes an interrupted one.

The rule for a crash: until the step marked `commit` is done the operation is undone, from then on it is
finished. So whatever the moment of a `kill -9`, the next command ends in one of the
two states that the operator knows.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from runbook.errors import FailedError, LockLostError, PreconditionError, RunbookError
from runbook.journal.journal import Journal
from runbook.journal.lock import STEP_SECONDS, Lease
from runbook.journal.state import Event, Operation, State, now

COMMANDS = ("cutover", "rollback", "complete")  # what an operation's command begins with when an operator typed it
BACK = "rollback reads"  # for what the runbook began by itself: the watch that takes reads back


def resuming(operation: Operation, entity: str) -> str:
    """The command line that finishes or undoes an interrupted operation of an entity."""
    typed = operation.command if operation.command.startswith(COMMANDS) else BACK
    stay = " --reads-stay" if operation.arguments.get("reads_stay") == "true" else ""  # as it was typed
    return f"runbook {typed} --entity {entity} --execute{stay}"


def first(state: State) -> str:
    """What to do about a switch that is under way, before anything else, as a sentence."""
    if state.operation is None:
        return f"See `runbook status --entity {state.entity}`."
    act = resuming(state.operation, state.entity)
    return f"Resume it first with `{act}`: it finishes or undoes what is under way, then does what it says."


def _nothing() -> None:
    """A step with nothing to undo."""


def _unknown() -> bool:
    """Without a way to look, a step that was begun counts as not done; doing it again must be safe."""
    return False


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change, safe to repeat in either direction.

    Attributes:
        name: its name in the journal; keep it stable between versions.
        says: what `do` changes, in a plan's words.
        unsays: what `undo` restores, in a plan's words; empty when there is nothing to.
        done: looks whether `do` took effect, for the step at which a crash happened.
        commit: from this step's end on, an interrupted operation is finished and no longer undone. When it fails, its
            `undo` makes sure that it takes no effect any more, and `done` then says whether it had.
        urgent: copy has to be right behind legacy's writers during this step, so its lanes look often.
        holds: the gate holds clients' writes during this step.
        seconds: that pass at most between two answers to requests; a holder that gets none loses its lock.
    """

    name: str
    says: str
    do: Callable[[], object]
    unsays: str = ""
    undo: Callable[[], object] = _nothing
    done: Callable[[], bool] = _unknown
    commit: bool = False
    urgent: bool = False
    holds: bool = False
    seconds: float = STEP_SECONDS


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """How many seconds a step took, and whether clients' writes were held meanwhile."""

    step: str
    seconds: float
    held: bool = False


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How an operation ended: `done`, or `undone` with its reason; and how long the steps took that were done."""

    command: str
    result: str
    reason: str = ""
    times: tuple[StepTime, ...] = ()


def finishes(steps: Sequence[Step], operation: Operation) -> bool:
    """Whether an interrupted operation is past its commit, and so will be finished. Otherwise it will be undone."""
    return operation.direction == "do" and _committed(steps, _index(steps, operation))


def _index(steps: Sequence[Step], operation: Operation) -> int:
    for index, step in enumerate(steps):
        if step.name == operation.step:
            return index
    raise FailedError(
        f"the journal is at step {operation.step} of `{operation.command}`, which this version does not know",
        "Run the command with the version of streamback that began it.",
    )


def _committed(steps: Sequence[Step], at: int) -> bool:
    step = steps[at]
    return any(earlier.commit for earlier in steps[:at]) or (step.commit and step.done())


class Runner:
    """Runs the steps of one operation under a lease."""

    def __init__(self, journal: Journal, lease: Lease, steps: Sequence[Step], say: Callable[[str], None]) -> None:
        self._journal = journal
        self._lease = lease
        self._steps = steps
        self._say = say
        self._times: list[StepTime] = []
        self._remedy = ""  # of the error that stopped it

    def run(self, command: str, arguments: Mapping[str, str]) -> Outcome:
        """Do all steps; when one fails before the commit, undo those done.

        Raises:
            PreconditionError: the operation was undone; the message says why.
            FailedError: it passed the commit or could not be undone; the next command goes on from there.
            LockLostError: another operator took over; nothing more was done here.
        """
        lock = self._lease.lock
        operation = Operation(
            id=uuid.uuid4().hex,
            command=command,
            arguments=arguments,
            operator=lock.holder,
            started_at=now(),
            step=self._steps[0].name,
        )
        event = self._event(operation, "started")
        self._journal.write(lock, self._lease.entity, {"operation": operation}, event)
        outcome = self._forward(operation, 0)
        if outcome.result == "undone":
            remedy = self._remedy or "Fix the cause, run it again."
            raise PreconditionError(f"{command} was stopped and everything rolled back: {outcome.reason}", remedy)
        return outcome

    def recover(self, operation: Operation) -> Outcome:
        """Finish or undo an operation of another run that was interrupted."""
        at = _index(self._steps, operation)
        if operation.direction == "undo":
            return self._undo(operation, at, operation.reason)
        if not _committed(self._steps, at):
            return self._undo(operation, at, f"it was interrupted at {operation.step}")
        return self._forward(operation, at)

    def _forward(self, operation: Operation, start: int) -> Outcome:
        for index in range(start, len(self._steps)):
            step, begun = self._steps[index], time.monotonic()
            try:
                self._boundary(operation.at(step.name, "do", urgent=step.urgent), step)
                self._say(step.says)
                step.do()  # that it is done is recorded by the next one's beginning: clients may be waiting
                self._times.append(StepTime(step=step.name, seconds=time.monotonic() - begun, held=step.holds))
            except LockLostError:
                raise
            except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # whatever it was, traffic must not stay half-way
                return self._failed(operation, index, error)
        return self._end(operation, "done", "")

    def _failed(self, operation: Operation, index: int, error: BaseException) -> Outcome:
        reason, self._remedy = _reason(error), error.remedy if isinstance(error, RunbookError) else ""
        if any(step.commit for step in self._steps[:index]):
            stopped = f"stopped at {self._steps[index].name}"
            self._journal.record(self._event(operation, stopped, reason), self._lease.lock)
            raise FailedError(
                f"{operation.command} is past its point of no return but not at its end: {reason}",
                f"{self._remedy or 'Fix the cause.'} The same command, run again, resumes there.",
            ) from error
        return self._undo(operation, index, reason)

    def _undo(self, operation: Operation, start: int, reason: str) -> Outcome:
        for step in reversed(self._steps[: start + 1]):
            self._boundary(operation.at(step.name, "undo", reason), step)
            if step.unsays:
                self._say(step.unsays)
            try:
                step.undo()
                committed = step.commit and not step.unsays and step.done()
            except LockLostError:
                raise
            except Exception as error:
                stopped = f"stopped rolling back {step.name}"
                self._journal.record(self._event(operation, stopped, _reason(error)), self._lease.lock)
                raise FailedError(
                    f"{operation.command} failed ({reason}) and could not be rolled back: {_reason(error)}",
                    "Fix the cause and run the command again: it resumes rolling back.",
                ) from error
            if committed:  # it took effect, and only its answer was lost: others have acted on it
                self._say("it had taken effect: going on")
                return self._forward(operation, self._steps.index(step))
        return self._end(operation, "undone", reason)

    def _boundary(self, operation: Operation, step: Step) -> None:
        self._lease.check()
        self._lease.begin(step.name, step.seconds)
        self._journal.write(self._lease.lock, self._lease.entity, {"operation": operation})

    def _end(self, operation: Operation, result: str, reason: str) -> Outcome:
        event = self._event(operation, result, reason)
        self._journal.write(self._lease.lock, self._lease.entity, {"operation": None}, event)
        return Outcome(command=operation.command, result=result, reason=reason, times=tuple(self._times))

    def _event(self, operation: Operation, result: str, reason: str = "") -> Event:
        return Event(
            entity=self._lease.entity,
            command=operation.command,
            result=result,
            operator=self._lease.lock.holder,
            details={"operation": operation.id, **({"reason": reason} if reason else {})},
        )


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by the operator"
    return error.message if isinstance(error, RunbookError) else f"{type(error).__name__}: {error}"
