"""A sandbox with the shop in it: first the shop alone, then the stack beside it."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox import lifecycle, state
from sandbox.brownfield import system
from sandbox.brownfield.system import Shop
from sandbox.deploy import Report
from sandbox.engine.aws import Aws
from sandbox.lifecycle import Sandbox
from sandbox.state import Folder

ROWS = 10_000
KEPT = "shop.json"  # in the sandbox's folder: what was made
BEFORE_ADOPTING = ("legacy", "modern")  # the parts that can be deployed while the table has no stream
ALL = (*BEFORE_ADOPTING, "bridge")


def shop(name: str, rows: int = ROWS, *, javascript: bool = False) -> Shop:
    """The shop in a sandbox; starts the sandbox, and makes the shop, where there is none."""
    folder = Folder.of(name)
    endpoint = lifecycle.start(name).endpoint
    if kept := state.read_json(folder.path / KEPT):
        return Shop.read(kept)
    made = system.make(Aws(endpoint), rows, javascript=javascript)
    state.write_json(folder.path / KEPT, made.document())
    return made


def deploy(
    name: str,
    parts: Sequence[str] | None = None,
    *,
    rows: int = ROWS,
    current: bool = True,
    report: Report | None = None,
) -> Sandbox:
    """Deploy the stack that adopts the shop.

    Args:
        parts: of the stack; without it `bridge` is left out while the table has no stream, which `runbook adopt` makes.
        rows: of a shop that is not there yet.
    """
    made = shop(name, rows)
    if parts is None:
        parts = ALL if _streams(Aws(lifecycle.start(name).endpoint)) else BEFORE_ADOPTING
    settings = {"adopt": made.adoption(), "apiAuth": "NONE", "parts": list(parts)}
    return lifecycle.up(name, settings, system.ENTITIES, current=current, report=report)


def _streams(account: Aws) -> bool:
    found = account.client("dynamodb").describe_table(TableName=system.TABLE)["Table"]
    return bool(found.get("StreamSpecification", {}).get("StreamEnabled"))
