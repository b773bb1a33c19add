"""The scenario of an adopted system: the stretches that only it has, and the faults that only it may meet.

A fault of adopting may come late only where nothing is undone next: a late change of an API cannot be refused.
"""

from dataclasses import replace

from sandbox.chaos import scenario
from sandbox.chaos.scenario import Deed, Stretch, Variant

CHANGES = ("kill_runbook", "kill_runbook", "overtake_adoption", "lost_adoption", "lost_adoption", "second_operator")
CONNECTIONS = ("end_connections", "end_connections")
OTHER_TOOLS = ("deploy_over", "deploy_over", "drop_permission")
# Where another tool may deploy: a canary of reads (50 %) is not touched by it, nor what `complete` has ended.
EXPOSED = frozenset(
    {"copy start", "copy start again", "copy watch", "verify", "verify again", "cutover writes", "rollback writes"}
    | {"cutover reads 100 %"}
)


def stretches(
    entity: str, variant: Variant, *, again: bool = False, brief: bool = False, connects: bool = False
) -> tuple[Stretch, ...]:
    """The commands from the first `adopt` to where everything is modern.

    Args:
        entity: what moves.
        variant: of the run; `direct` does not count, because it is refused.
        again: whether it is adopted, undone and compared before it is adopted to stay.
        brief: end after the first rollback.
        connects: whether functions have connections to the database, which end by themselves.
    """
    following = scenario.stretches(entity, replace(variant, direct=False), brief=brief)
    first = [_adopt(entity), _undo(Deed.COMPARE)] if again else []
    stays = replace(_adopt(entity), then=Deed.DEPLOY)
    stays = replace(stays, name="adopt to stay", faults=(*stays.faults, "late_adoption", "late_adoption"))
    init, *rest = following
    smoke = Stretch(name="smoke", words=("smoke", "--entity", entity), strict=True)  # killed, it would leave records
    exposed = rest if brief else [_exposed(one) for one in rest]
    return (*first, stays, init, smoke, *(_connected(one) if connects else one for one in exposed))


def completion(entity: str) -> tuple[Stretch, ...]:
    """`complete` and all that is undone after it, while clients read."""
    without = replace(_undo(Deed.DEPLOY_WITHOUT), name="adopt undo, but for the stream")
    return (scenario.completion(entity), without, _undo(Deed.COMPARE_COMPLETE))


def _adopt(entity: str) -> Stretch:
    words = ("adopt", "--entity", entity, "--execute")
    return Stretch(name="adopt", words=words, faults=CHANGES, many=(1, 3), strict=True)


def _undo(then: Deed) -> Stretch:
    words = ("adopt", "undo", *scenario.QUICKLY[:2], "--execute")
    return Stretch(name="adopt undo", words=words, faults=CHANGES, many=(1, 3), strict=True, then=then)


def _exposed(stretch: Stretch) -> Stretch:
    if stretch.name not in EXPOSED:
        return stretch
    return replace(stretch, faults=(*stretch.faults, *OTHER_TOOLS))


def _connected(stretch: Stretch) -> Stretch:
    """Where the database may be restarted, its connections may end."""
    return replace(stretch, faults=(*stretch.faults, *CONNECTIONS)) if "restart_database" in stretch.faults else stretch
