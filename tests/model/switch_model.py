"""A model of switches of writes: every interleaving of two operators, two requests, a lane of copy and foreign writers.

One record exists on both sides. Each write has the next number; `acknowledged` is the last one that was acknowledged.
An operator issues a call and the call arrives later: in between it may stand still, the other operator may take over,
finish or undo the operation and do the next commands, and only then the call arrives. Search is breadth first, so the
interleaving that it shows is a shortest one.

`Variant` says which protections there are. docs/adr/0018 and 0010 describe them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

LEGACY, SWITCHING, MODERN, RETURNING = "legacy", "switching", "modern", "returning"
GATE = "gate"
IDLE, IN, WRITTEN = "idle", "in", "written"


@dataclass(frozen=True)
class Variant:
    """Which protections there are.

    Attributes:
        gate_stays: in the path of writes; else each switch puts it there and takes it out.
        ids: requests are counted by identity, in every phase.
        tokens: Aurora refuses a fence or an install call of an operator who was overtaken.
        lanes: a lane's write is refused when another worker has the lane, or copy has stopped.
        reads_first: a rollback routes reads before its commit.
    """

    gate_stays: bool = True
    ids: bool = True
    tokens: bool = True
    lanes: bool = True
    reads_first: bool = True


NEW = Variant()
OLD = Variant(gate_stays=False, ids=False, tokens=False, lanes=False, reads_first=False)


class Request(NamedTuple):
    """A public write: where it is, which writer it is inside, and whether it was counted."""

    at: str = IDLE
    side: str = ""
    counted: bool = False


class State(NamedTuple):
    """All that there is. `operation` is (command, step, direction) as the journal has it; `late` is A's last call."""

    agenda: tuple[str, ...]
    phase: str = LEGACY
    turn: int = 0
    gate: tuple[str, int] = (LEGACY, 0)  # the phase that the gate obeys, and its number
    count: int = 0
    operation: tuple[str, int, str] | None = None
    operator: int = 0
    issued: bool = False
    late: tuple[str, int] | None = None  # a call of the first operator, and the number that it carries
    writes: str = GATE
    reads: str = LEGACY
    fence: bool = False
    token: int = 0
    triggers: bool = True
    row: int = 0
    item: int = 0
    queue: bool = False
    stream: bool = False
    lane: int | None = None  # the row that a worker has read and not yet written
    stale: bool = False  # another worker has the lane
    requests: tuple[Request, ...] = (Request(), Request())
    left: int = 0  # public writes that may still come
    foreign: tuple[int, int] = (0, 0)  # writes past the gate that may still come, of each side
    number: int = 0
    acknowledged: int = 0


# A step is a call, a wait, or both; `undo` names the call that undoes it.
class Step(NamedTuple):
    call: str
    undo: str = ""
    commit: bool = False


def steps(command: str, variant: Variant) -> tuple[Step, ...]:
    """The steps of a command, in this variant's order."""
    if command == "remove":
        return (Step("triggers off"),)
    if command == "start":
        return (Step("triggers on"),)
    return _cutover(variant) if command == "cutover" else _rollback(variant)


def _enter(phase: str, undo: str, variant: Variant, *, commit: bool = False) -> list[Step]:
    """State and gate: in one transaction where the gate has one record, else the state first, in either direction."""
    if not variant.gate_stays:
        return [Step(f"state {phase}", undo and f"state {undo}", commit)]
    return [Step(f"state {phase}", undo and f"gate {undo}", commit), Step(f"gate {phase}", undo and f"state {undo}")]


def _cutover(variant: Variant) -> tuple[Step, ...]:
    old = not variant.gate_stays
    return (
        *([Step(f"writes {GATE}", f"writes {LEGACY}")] if old else []),
        *_enter(SWITCHING, LEGACY, variant),
        *([Step("wait quiet")] if variant.ids else []),
        Step("fence up", "fence down"),
        Step("wait queue"),
        *_enter(MODERN, "", variant, commit=True),
        *([Step(f"writes {MODERN}")] if old else []),
    )


def _rollback(variant: Variant) -> tuple[Step, ...]:
    old = not variant.gate_stays
    reads = Step(f"reads {LEGACY}", f"reads {MODERN}")
    return (
        *([Step(f"writes {GATE}", f"writes {MODERN}")] if old else []),
        *_enter(RETURNING, MODERN, variant),
        Step("wait quiet"),
        Step("wait stream"),
        *([reads] if variant.reads_first else []),
        Step("fence down", "fence kept", commit=True),
        *_enter(LEGACY, "", variant),
        *([] if variant.reads_first else [reads]),
        *([Step(f"writes {LEGACY}")] if old else []),
    )


Move = tuple[str, State]


@dataclass(frozen=True)
class Model:
    """The moves of one variant; `takeovers` is how often the lock may change hands."""

    variant: Variant

    def moves(self, state: State) -> Iterator[Move]:
        """Everything that may happen next."""
        yield from self._operator(state)
        yield from self._late(state)
        yield from self._copy(state)
        yield from self._bridge(state)
        for place in range(len(state.requests)):
            yield from self._request(state, place)
        yield from self._foreign(state)

    # Operators

    def _operator(self, state: State) -> Iterator[Move]:
        who = "AB"[state.operator]
        if state.operation is None:
            if state.agenda:
                operation = (state.agenda[0], 0, "do")
                yield f"{who} begins {state.agenda[0]}", state._replace(agenda=state.agenda[1:], operation=operation)
        elif not state.issued and self._may_be_late(state, self._call(state)):
            yield f"{who} issues {self._call(state)}", state._replace(issued=True)
        elif self._call(state) == "fence kept" and not state.fence:  # it came down: others have acted on it
            assert state.operation is not None
            yield f"{who} goes on", self._next(state._replace(operation=(*state.operation[:2], "do")))
        elif (after := self._arrives(state, self._call(state), state.operator, state.turn + 1)) is not None:
            yield f"{who}: {self._call(state)}", self._next(after)
        if state.operator == 0 and state.operation is not None:
            yield "B takes over", self._taken_over(state)

    @staticmethod
    def _may_be_late(state: State, call: str) -> bool:
        """The journal refuses a change of the phase from an operator who has not the lock; B is never overtaken.

        Nothing refuses the variable of reads that comes late. Such reads lag, lose nothing, and `status` shows it.
        """
        return state.operator == 0 and call.partition(" ")[0] not in {"state", "wait", "reads", ""}

    def _call(self, state: State) -> str:
        assert state.operation is not None
        command, at, direction = state.operation
        step = steps(command, self.variant)[at]
        return step.call if direction == "do" else step.undo

    def _next(self, state: State) -> State:
        assert state.operation is not None
        command, at, direction = state.operation
        known = steps(command, self.variant)
        if direction == "do":
            following = (command, at + 1, "do") if at + 1 < len(known) else None
        else:
            following = (command, at - 1, "undo") if at else None
        return state._replace(operation=following, issued=False)

    def _taken_over(self, state: State) -> State:
        """B has the lock, and finishes or undoes the operation. A call that A has issued arrives later or never."""
        assert state.operation is not None
        command, at, direction = state.operation
        number = int(self._call(state).startswith("gate")) and state.turn  # a gate record is written under its number
        late = (self._call(state), number) if state.issued else None
        known = steps(command, self.variant)
        committed = any(step.commit for step in known[:at]) or (known[at].commit and self._done(state, known[at].call))
        commits = any(step.commit for step in known)
        way = "do" if direction == "do" and (committed or not commits) else "undo"
        if self.variant.gate_stays and (way, direction) == ("undo", "do") and known[at].call.startswith("state"):
            at += 1  # state and gate are one step of the runbook
        return state._replace(operator=1, operation=(command, at, way), issued=False, late=late)

    @staticmethod
    def _done(state: State, call: str) -> bool:
        return not state.fence if call == "fence down" else state.phase == call.removeprefix("state ")

    def _late(self, state: State) -> Iterator[Move]:
        if state.late is None:
            return
        call, number = state.late
        rest = state._replace(late=None)
        yield "A's call never arrives", rest
        after = self._arrives(rest, call, 0, number)
        if after is not None:
            yield f"A's call arrives late: {call}", after

    def _arrives(self, state: State, call: str, operator: int, number: int) -> State | None:
        """What a call does; None for a wait that is not over."""
        what, _, value = call.partition(" ")
        effects: dict[str, Callable[[], State | None]] = {
            "": lambda: state,
            "wait": lambda: state if self._over(state, value) else None,
            "state": lambda: self._state(state, value, number),
            "gate": lambda: self._gate(state, value, number if operator == 0 and state.operator else state.turn),
            "writes": lambda: state._replace(writes=value),
            "reads": lambda: state._replace(reads=value),
            "fence": lambda: self._aurora(state, operator, fence=value != "down"),
            "triggers": lambda: self._triggers(state, operator, on=value == "on"),
        }
        return effects[what]()

    def _state(self, state: State, phase: str, number: int) -> State:
        count = 0 if phase == MODERN and not self.variant.ids else state.count  # it must be that, so it was set
        after = state._replace(phase=phase, turn=number, count=count)
        return after if self.variant.gate_stays else after._replace(gate=(phase, number))

    @staticmethod
    def _gate(state: State, phase: str, number: int) -> State:
        return state._replace(gate=(phase, number)) if number >= state.gate[1] else state

    def _aurora(self, state: State, operator: int, **change: Any) -> State:
        if not self.variant.tokens:
            return state._replace(**change)
        return state._replace(token=operator, **change) if operator >= state.token else state

    def _triggers(self, state: State, operator: int, *, on: bool) -> State:
        """Installed by `copy start`, which then enqueues every row."""
        return self._aurora(state, operator, triggers=on, queue=on and (state.queue or state.row != state.item))

    def _over(self, state: State, what: str) -> bool:
        """Whether a wait is over. A writer ends by itself, so a request that is only not counted out ends it too."""
        if what == "queue":
            return not state.queue
        if what == "stream":
            return not state.stream
        running = any(one.at == IN and one.counted for one in state.requests)
        return not running if self.variant.ids else state.count <= 0 or not running

    # Copy, bridge and writers

    def _copy(self, state: State) -> Iterator[Move]:
        runs = state.phase in {LEGACY, SWITCHING}
        if runs and state.queue and state.lane is None:
            yield "a lane reads the row", state._replace(lane=state.row)
        if runs and state.queue and state.lane is not None:
            after = state._replace(item=state.row, queue=False, stale=True)
            yield "another worker takes the lane and copies", after
        if state.lane is not None:
            done = state._replace(lane=None, stale=False)
            if not (self.variant.lanes and (state.stale or not runs)):
                done = done._replace(item=state.lane, queue=state.queue and state.row != state.lane)
            yield "the lane writes the item", done

    @staticmethod
    def _bridge(state: State) -> Iterator[Move]:
        if state.stream:  # while legacy is the source of truth the change is a conflict, and the row stays
            row = state.item if state.fence else state.row
            yield "the bridge applies the change", state._replace(stream=False, row=row)

    def _request(self, state: State, place: int) -> Iterator[Move]:
        one, name = state.requests[place], f"request {place + 1}"
        if one.at == IDLE and state.left:
            yield from self._let_in(state._replace(left=state.left - 1), place, name)
        elif one.at == IN:
            after = self._written(state, one.side)
            if after is None:  # the fence has refused it: it waits in the gate, or has failed with nothing written
                yield f"{name} is refused by the fence", self._moved(state, place, Request(), -one.counted)
            else:
                yield f"{name} writes to {one.side}", self._moved(after, place, one._replace(at=WRITTEN))
        elif one.at == WRITTEN:
            yield f"{name} leaves", self._moved(state, place, Request(), -one.counted)

    def _let_in(self, state: State, place: int, name: str) -> Iterator[Move]:
        past_gate = state.writes != GATE
        if past_gate and (state.writes == LEGACY or not self.variant.gate_stays):
            yield f"{name} enters {state.writes} past the gate", self._moved(state, place, Request(IN, state.writes))
            return
        phase = state.gate[0]
        if phase in {LEGACY, MODERN}:
            counted = self.variant.ids or phase == MODERN
            yield f"{name} is let in to {phase}", self._moved(state, place, Request(IN, phase, counted), counted)

    @staticmethod
    def _moved(state: State, place: int, to: Request, count: int = 0) -> State:
        others = state.requests[:place] + state.requests[place + 1 :]
        return state._replace(requests=tuple(sorted((to, *others))), count=state.count + count)  # they are alike

    @staticmethod
    def _written(state: State, side: str) -> State | None:
        number = state.number + 1
        if side == MODERN:
            return state._replace(number=number, acknowledged=number, item=number, stream=True)
        if state.fence:
            return None
        return state._replace(number=number, acknowledged=number, row=number, queue=state.queue or state.triggers)

    def _foreign(self, state: State) -> Iterator[Move]:
        """Writers past the gate: legacy's meets the fence; modern's writes while modern is the source of truth."""
        legacy, modern = state.foreign
        if legacy and (after := self._written(state, LEGACY)):
            yield "a foreign writer writes the row", after._replace(foreign=(legacy - 1, modern))
        if modern and state.phase == MODERN and (after := self._written(state, MODERN)):
            yield "a foreign writer writes the item", after._replace(foreign=(legacy, modern - 1))


def at_rest(state: State) -> bool:
    """Nothing is left to be done by anything."""
    quiet = all(one.at == IDLE for one in state.requests)
    done = not (state.agenda or state.operation or state.late or state.lane is not None or state.stream)
    return quiet and done and not (state.queue and state.phase == LEGACY)


def problem(state: State, *, reads: bool = False) -> str:
    """Which promise a state breaks; empty for none.

    Args:
        state: any state; most promises are looked at when nothing is left to be done.
        reads: whether a client must read the last acknowledged write at each moment.
    """
    if reads and (state.row if state.reads == LEGACY else state.item) != state.acknowledged:
        return "an acknowledged write is invisible"
    if not at_rest(state):
        return ""
    if state.fence != (state.phase == MODERN):
        return "the fence is not as the phase has it"
    if not state.triggers:
        return "no trigger captures what legacy writes"
    if (state.item if state.phase == MODERN else state.row) != state.acknowledged:
        return "an acknowledged write is lost"
    return "" if state.row == state.item else "the sides differ"


@dataclass(frozen=True)
class Found:
    """What a search found: how many states, and the first broken promise with the moves that lead there."""

    states: int
    problem: str = ""
    moves: tuple[str, ...] = ()


def search(variant: Variant, start: State, most: int = 400_000, *, reads: bool = False) -> Found:
    """Look at every state that can be reached.

    Raises:
        RuntimeError: there are more than `most`: the search would prove nothing.
    """
    model = Model(variant)
    came: dict[State, tuple[State, str] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        state = waiting.popleft()
        if broken := problem(state, reads=reads):
            return Found(len(came), broken, _path(came, state))
        for move, after in model.moves(state):
            if after not in came:
                came[after] = (state, move)
                waiting.append(after)
        if len(came) > most:
            raise RuntimeError(f"more than {most:,} states")
    return Found(len(came))


def _path(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    moves: list[str] = []
    while (step := came[state]) is not None:
        state, move = step
        moves.append(move)
    return tuple(reversed(moves))
