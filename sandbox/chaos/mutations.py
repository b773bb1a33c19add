"""Cures switched off: each mutation is a change of text in a copy of the program, which a run deploys and operates.

The product itself has no switch for this. `make chaos MUTATE=name` runs seeds until one finds what the cure prevents.
"""

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.chaos.checker import Kind
from sandbox.chaos.commands import MISMATCH
from sandbox.chaos.scenario import Variant
from sandbox.errors import SandboxError
from sandbox.state import PROJECT

COPIED = ("components", "functions", "runbook", "__main__.py", "Pulumi.yaml", "entities.toml")
IGNORED = shutil.ignore_patterns("__pycache__")


# A violation of the checker about a record, or two sides that `verify` finds different however often it is run.
WRONG = (
    rf"^({Kind.LOST}|{Kind.PHANTOM}|{Kind.STALE}|{Kind.BACKWARDS}|{Kind.DIFFERENT}): "
    rf"|^`runbook verify.*` ended with {MISMATCH}"
)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One text of one file, which must be there once, and what takes its place."""

    file: str
    text: str
    instead: str


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """A cure that is switched off.

    Attributes:
        defect: what happens without it.
        changes: of texts.
        shows: what a broken promise must say, so that the run has found this defect and not another fault.
        favoured: faults that come more often, because they may show it.
        direct, removes: of the scenario's variant; None as the seed draws it.
    """

    defect: str
    changes: tuple[Change, ...]
    shows: str = WRONG
    favoured: tuple[str, ...] = ()
    direct: bool | None = None
    removes: bool | None = None

    def shown(self, texts: Iterable[str]) -> Sequence[str]:
        """Those broken promises that show the defect."""
        return [text for text in texts if re.search(self.shows, text)]

    def variant(self, drawn: Variant) -> Variant:
        """The seed's variant with what this mutation needs."""
        return replace(
            drawn,
            direct=drawn.direct if self.direct is None else self.direct,
            removes=drawn.removes if self.removes is None else self.removes,
            favoured=self.favoured,
        )


ORIGIN, OWNERSHIP = "functions/domain/origin.py", "functions/bridge/ownership.py"

MUTATIONS: Mapping[str, Mutation] = {
    "origin": Mutation(
        defect="a change of a writer that does not know the origin mark is never bridged",
        changes=(
            Change(file=ORIGIN, text="return _number(image) > _number(before)", instead="return True"),
            Change(file=ORIGIN, text="idle is not None and idle.covers(moment)", instead="False"),
        ),
        direct=False,
        removes=False,
    ),
    "ownership": Mutation(
        defect="emptying the DynamoDB table in phase legacy deletes Aurora's rows",
        changes=(
            Change(
                file=OWNERSHIP, text="({MODERN} OR ({epoch} AND {owner}))", instead="({MODERN} OR {epoch})"
            ),
            Change(file=OWNERSHIP, text="self.epoch or not (made or late)", instead="self.epoch"),
        ),
        favoured=("empty_table",),
        direct=False,
        removes=False,
    ),
    "route": Mutation(
        defect="an UpdateStage that comes late sends writes to modern while legacy is the source of truth",
        changes=(
            Change(
                file="functions/gate/modern_write.py",
                text="return _public(event, context)",
                instead="return http_api.resolve(app, event, context) or _public(event, context)",
            ),
        ),
        favoured=("late_route",),
        direct=True,
        removes=False,
    ),
    "fence": Mutation(
        defect="a fence call of an operator that slept raises or lowers the fence of a newer operation",
        changes=(
            Change(
                file="functions/install/control_row.py",
                text="START TRANSACTION; {tokens.TAKE}",
                instead="START TRANSACTION; {tokens.TAKE[:0]}",
            ),
        ),
        shows=rf"{WRONG}|the fence is (up|down) in phase",
        favoured=("late_fence",),
        direct=False,
        removes=False,
    ),
    "install": Mutation(
        defect="an install call of an operator that slept drops the triggers that a newer operation added",
        changes=(
            Change(
                file="functions/install/tokens.py",
                text='{TAKE}COMMIT; "\n        f"SELECT fenced',
                instead='COMMIT; "\n        f"SELECT fenced',
            ),
        ),
        shows=rf"{WRONG}|there is no ",
        favoured=("late_install",),
        direct=False,
        removes=True,
    ),
    "lane": Mutation(
        defect="a lane that slept through its lease writes an item from an old read after modern took over",
        changes=(
            Change(
                file="functions/copy/writer.py",
                text="[self._lease.held(), *requests]",
                instead="[*requests]",
            ),
        ),
        favoured=("late_lane",),
        direct=False,
        removes=False,
    ),
}  # fmt: skip


def apply(mutation: Mutation, folder: Path) -> None:
    """Copy the program into a folder and switch the cure off there.

    Raises:
        SandboxError: a text is not there, or not once: the mutation is not of this program any more.
    """
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=IGNORED)
        else:
            shutil.copy(source, folder / name)
    for change in mutation.changes:
        file = folder / change.file
        present = file.read_text(encoding="utf-8")
        if present.count(change.text) != 1:
            raise SandboxError(f"{change.file} has {present.count(change.text)} times, not once: {change.text}")
        file.write_text(present.replace(change.text, change.instead), encoding="utf-8")
