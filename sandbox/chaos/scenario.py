"""The scenario of one run: its stretches in order, and which faults may hit in which."""

from dataclasses import dataclass, replace

CRASHES = ("kill_runbook", "kill_runbook", "kill_at_boundary", "kill_at_boundary")
OUTAGES = ("restart_database", "kill_workers", "throttle")
BRIDGE = ("pause_bridge", "kill_bridge", "deliver_again")
COPY = ("kill_lane", "kill_lane")
OTHERS = ("second_operator",)
RATE = "60"  # rows a second, so that faults find the backfill at work
# The emulator's routes spread at once, and the clients of a run write little.
QUICKLY = ("--settle", "0.5", "--warm", "8")


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
        strict: whether reads surely see every acknowledged write from the end of this stretch on.
    """

    name: str
    words: tuple[str, ...]
    faults: tuple[str, ...] = ()
    many: tuple[int, int] = (0, 2)
    span: float = 4.0
    switch: bool = False
    strict: bool = False


def stretches(entity: str, *, brief: bool = False) -> tuple[Stretch, ...]:
    """The commands from the first copy to where everything is modern and only `complete` is left.

    Args:
        entity: what moves.
        brief: only cutover and rollback, so that it ends where it began.
    """
    chosen = _all(entity)
    if not brief:
        return chosen
    back = next(place for place, one in enumerate(chosen) if one.name == "rollback writes")
    return tuple(replace(one, faults=_cheap(one.faults), many=(1, 1), span=2.0) for one in chosen[: back + 1])


def _cheap(faults: tuple[str, ...]) -> tuple[str, ...]:
    """Those after which all goes on at once: a dead lane is taken over only when its lease ends."""
    return tuple(name for name in faults if name in {*CRASHES, "restart_database", "kill_bridge"})


def _all(entity: str) -> tuple[Stretch, ...]:
    this, act = ("--entity", entity), "--execute"
    cutover = Stretch(
        name="cutover writes",
        words=("cutover", "writes", *QUICKLY, *this, act),
        faults=CRASHES + OUTAGES + BRIDGE + COPY + OTHERS,
        many=(2, 4),
        span=6.0,
        switch=True,
    )
    return (
        Stretch(name="init", words=("init",), faults=("kill_runbook", "second_operator"), span=2.0, strict=True),
        Stretch(
            name="copy start",
            words=("copy", "start", *this),
            faults=("kill_runbook", "kill_runbook", *COPY, *OUTAGES, *OTHERS),
            span=2.0,
            strict=True,
        ),
        Stretch(
            name="copy watch",
            words=("copy", "watch", *this),
            faults=("kill_runbook", *COPY, *OUTAGES, "deliver_again"),
            many=(1, 3),
            strict=True,
        ),
        Stretch(
            name="verify",
            words=("verify", *this),
            faults=("kill_runbook", *OUTAGES, "kill_lane"),
            span=2.0,
            strict=True,
        ),
        cutover,
        Stretch(
            name="rollback writes",
            words=("rollback", "writes", *QUICKLY, *this, act),
            faults=CRASHES + OUTAGES + BRIDGE + OTHERS,
            many=(2, 4),
            span=6.0,
            switch=True,
            strict=True,
        ),
        Stretch(name="verify again", words=("verify", *this), faults=("kill_runbook",), span=2.0, strict=True),
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
