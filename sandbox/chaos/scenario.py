"""The scenario of one run: its stretches in order, and which faults may hit in which."""

import random
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

CRASHES = ("kill_runbook", "kill_runbook", "kill_at_boundary", "kill_at_boundary")
OUTAGES = ("restart_database", "kill_workers", "throttle")
BRIDGE = ("pause_bridge", "kill_bridge", "deliver_again", "pause_bridge_worker")
COPY = ("kill_lane", "kill_lane", "pause_lane")
TAKEN_OVER = ("take_over", "take_over", "pause_operator")
UNSURE = ("lost_answer", "lost_answer", "late_call", "late_call")
CLOCKS = ("skew_operator", "skew_function")
API = ("pause_gate", "pause_writer")
CONFLICTS = ("foreign_items", "empty_table")
OTHERS = ("second_operator",)
SWITCH = CRASHES + OUTAGES + BRIDGE + OTHERS + TAKEN_OVER + UNSURE + CLOCKS + API + ("late_fence", "late_route")
DIRECT, REMOVES, STREAMS, RANGES = 0.2, 0.5, 0.4, 0.4  # shares of the runs
# A few rows a second, so that faults hit workers on ranges; rows of a range and rows a second, of hundreds in all.
BY_RANGES = ("--by", "ranges", "--workers", "3", "--range-rows", "40", "--rate", "100")
# The emulator's routes spread at once, and the clients of a run write little.
QUICKLY = ("--settle", "0.5", "--warm", "8")


class Deed(StrEnum):
    """What the operator of an adopted system does beside the runbook."""

    DEPLOY = "deploy with the bridge"
    DEPLOY_WITHOUT = "deploy without the bridge"
    COMPARE = "compare with the shop before"
    COMPARE_COMPLETE = "compare with the shop before, whose API calls the modern functions now"


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One command, run until it succeeds.

    Args:
        name: for the diary.
        words: the command, without --outputs.
        faults: what may hit; one that is there twice comes twice as often.
        many: how many at least and at most.
        span: seconds in which they come; about as long as the command takes.
        switch: whether the longest wait of the clients is reported.
        cures: whether an operator then resolves what foreign writers left in conflict.
        strict: whether reads surely see every acknowledged write from the end of this stretch on.
        then: what the operator does after the command.
    """

    name: str
    words: tuple[str, ...]
    faults: tuple[str, ...] = ()
    many: tuple[int, int] = (0, 2)
    span: float = 4.0
    switch: bool = False
    cures: bool = False
    strict: bool = False
    then: Deed | None = None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What differs between runs.

    Attributes:
        direct: the first cutover lets writes go past the gate. The rollback then takes a minute longer.
        removes: the triggers are removed and added again before the backfill ends.
        streams: the table gets a new stream while modern is the source of truth.
        ranges: the backfill is done by ranges, so that faults of copy's workers hit those of ranges, too.
        favoured: faults that come more often.
    """

    direct: bool = False
    removes: bool = False
    streams: bool = False
    ranges: bool = False
    favoured: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, seed: int) -> Self:
        """The variant that a seed draws."""
        rng = random.Random(f"{seed}/variant")  # noqa: S311  # repeatable
        return cls(
            direct=rng.random() < DIRECT,
            removes=rng.random() < REMOVES,
            streams=rng.random() < STREAMS,
            ranges=rng.random() < RANGES,
        )


def stretches(entity: str, variant: Variant, *, brief: bool = False) -> tuple[Stretch, ...]:
    """The commands from the first copy to where everything is modern and only `complete` is left.

    Args:
        entity: what moves.
        variant: of the run.
        brief: only cutover and rollback, so that it ends where it began.
    """
    chosen = tuple(_favouring(one, variant.favoured) for one in _all(entity, variant))
    if not brief:
        return chosen
    back = next(place for place, one in enumerate(chosen) if one.name == "rollback writes")
    return tuple(replace(one, faults=_cheap(one.faults), many=(1, 1), span=2.0) for one in chosen[: back + 1])


def _favouring(stretch: Stretch, favoured: tuple[str, ...]) -> Stretch:
    """With half of its faults from `favoured`, as far as they belong to it."""
    chosen = [name for name in favoured if name in stretch.faults]
    if not chosen:
        return stretch
    more = tuple(chosen) * (len(stretch.faults) // len(chosen))
    return replace(stretch, faults=stretch.faults + more, many=(max(stretch.many[0], 2), max(stretch.many[1], 3)))


def _cheap(faults: tuple[str, ...]) -> tuple[str, ...]:
    """Those after which all goes on at once: a dead lane is taken over only when its lease ends."""
    return tuple(name for name in faults if name in {*CRASHES, "restart_database", "kill_bridge"})


def _all(entity: str, variant: Variant) -> tuple[Stretch, ...]:
    this, act = ("--entity", entity), "--execute"
    cutover = Stretch(
        name="cutover writes",
        words=("cutover", "writes", "--reads-stay", *QUICKLY, *this, act),
        faults=(*SWITCH, *COPY, "late_lane", "late_lane"),
        many=(3, 5),
        span=6.0,
        switch=True,
    )
    first = replace(cutover, words=(*cutover.words, "--direct")) if variant.direct else cutover
    start = Stretch(
        name="copy start",
        words=("copy", "start", *(BY_RANGES if variant.ranges else ()), *this),
        faults=("kill_runbook", "kill_runbook", *COPY, *OUTAGES, *OTHERS, *UNSURE, "late_install", "late_route"),
        span=2.0,
        strict=True,
    )
    remove = replace(
        start,
        name="copy stop --remove-triggers",
        words=("copy", "stop", "--remove-triggers", *this),
        faults=("kill_runbook", "late_install", "late_install", "take_over", "lost_answer"),
    )
    adopted = Stretch(name="a new stream", words=("status", *this), faults=("new_stream",), many=(1, 1), span=0.0)
    return (
        Stretch(name="init", words=("init",), faults=("kill_runbook", "second_operator"), span=2.0, strict=True),
        start,
        *((remove, replace(start, name="copy start again")) if variant.removes else ()),
        Stretch(
            name="copy watch",
            words=("copy", "watch", *this),
            faults=("kill_runbook", *COPY, *OUTAGES, "deliver_again", *CONFLICTS, "lost_answer", "late_lane"),
            many=(1, 3),
            strict=True,
        ),
        Stretch(
            name="verify",
            words=("verify", *this),
            faults=("kill_runbook", *OUTAGES, "kill_lane", *CONFLICTS),
            span=2.0,
            cures=True,
            strict=True,
        ),
        first,
        *((adopted,) if variant.streams else ()),
        Stretch(
            name="rollback writes",
            words=("rollback", "writes", *QUICKLY, *this, act),
            faults=SWITCH,
            many=(3, 5),
            span=6.0,
            switch=True,
            cures=True,
            strict=True,
        ),
        Stretch(
            name="verify again",
            words=("verify", *this),
            faults=("kill_runbook", "foreign_items"),
            span=2.0,
            strict=True,
        ),
        cutover,
        Stretch(
            name="cutover reads 50 %",
            words=("cutover", "reads", "--percent", "50", "--watch", "2", *this, act),
            faults=CRASHES + OUTAGES,
            many=(0, 1),
            span=2.0,
            switch=True,
        ),
        Stretch(
            name="cutover reads 100 %",
            words=("cutover", "reads", "--watch", "0", *this, act),
            faults=CRASHES + OUTAGES + BRIDGE,
            many=(0, 2),
            span=2.0,
            switch=True,
            strict=True,
        ),
    )


def comparison(entity: str) -> Stretch:
    """When the clients have stopped: both sides become equal."""
    return Stretch(name="verify at rest", words=("verify", "--entity", entity))


def completion(entity: str) -> Stretch:
    """`complete` runs while clients read."""
    return Stretch(
        name="complete",
        words=("complete", "--entity", entity, "--execute"),
        faults=("kill_runbook", "kill_runbook", "kill_at_boundary", "restart_database", "second_operator"),
        many=(1, 2),
        strict=True,
    )
