"""How `runbook complete` looks: what it means, and what is left to do with the stack."""

from __future__ import annotations

from rich.markup import escape

from runbook.aws.outputs import EntityTarget
from runbook.commands import _output
from runbook.cutover.complete import Afterwards

MEANING = (
    "`complete` is the end of the road. Reads and writes of {entity} stay on modern. The bridge stops, the fence and "
    "the triggers go, and the legacy table has its old shape again, with its rows as of that moment: it is [bold]no "
    "longer kept true[/], and whoever still writes to it is stopped by nobody. There is no rollback from there."
)
ENDED = (
    "{entity} is complete. Reads and writes stay on modern; the legacy table is as it was before `runbook init`, and "
    "no longer kept true. `cutover`, `rollback` and `copy start` are refused from here on."
)
LEGACY = (
    "The legacy part stays in it: the program deploys modern beside legacy. Keep Aurora for as long as you want its "
    "rows; with `streamback:minCapacity: 0` it pauses, and costs its storage."
)


def meaning(entity: EntityTarget) -> None:
    """What the command would mean, before its plan."""
    _output.out().print(MEANING.format(entity=escape(entity.name)), soft_wrap=True)


def ended(entity: EntityTarget, left: Afterwards) -> None:
    """What it meant, and the settings to change."""
    out = _output.out()
    out.print(ENDED.format(entity=escape(entity.name)), soft_wrap=True)
    value = f"[{', '.join(left.value)}]"
    if left.waiting:
        out.print(
            f"The bridge stays deployed for {escape(', '.join(left.waiting))}. When these are complete too, set "
            f"`{left.setting}: {value}`.".replace("[", r"\["),
            soft_wrap=True,
        )
        return
    out.print("Take the bridge, copy and the gate down with these settings and `pulumi up`:\n")
    out.print(f"  {left.setting}: {value}\n".replace("[", r"\["))
    if left.protected:
        out.print(
            "In production the quarantine table and the failure bucket are protected: empty they are, so take "
            "`pulumi state unprotect` and the table's deletion protection off first.",
            soft_wrap=True,
        )
    out.print(LEGACY, soft_wrap=True)
