"""A sandbox with the shop in it: first the shop alone, then the stack beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox import lifecycle, state
from sandbox.brownfield import system
from sandbox.brownfield.database import Rds
from sandbox.brownfield.system import Shop
from sandbox.database import product
from sandbox.deploy import Report
from sandbox.engine.aws import Aws
from sandbox.errors import SandboxError
from sandbox.lifecycle import Sandbox
from sandbox.state import Folder

ROWS = 10_000
KEPT = "shop.json"  # in the sandbox's folder: what was made
REPLAYED = "entities-replay.toml"  # likewise: the shop's mapping with bridge = "replay"
BEFORE_ADOPTING = ("legacy", "modern")  # the parts that can be deployed while the table has no stream
ALL = (*BEFORE_ADOPTING, "bridge")


def is_there(name: str) -> bool:
    """Whether a sandbox was brought up for the shop."""
    return (Folder.of(name).path / KEPT).exists()


def shop(name: str, rows: int = ROWS, *, rds: Rds | None = None, javascript: bool = False) -> Shop:
    """The shop in a sandbox; starts the sandbox, and makes the shop, where there is none.

    Args:
        rows: how many orders a new one gets.
        rds: the kind of its database; serverless by default.
        javascript: whether the writer of a new one is in JavaScript.

    Raises:
        SandboxError: the sandbox has another stack, half a shop, or one with another kind of database.
    """
    folder = Folder.of(name)
    endpoint = lifecycle.start(name).endpoint
    with folder.locked():
        kept = folder.path / KEPT
        if found := state.read_json(kept):
            return _of_kind(Shop.read(found), rds, name)
        if kept.exists():
            raise SandboxError(f"The shop in the sandbox {name!r} was not made to its end. {_anew(name)}")
        if folder.outputs.exists():
            raise SandboxError(f"The sandbox {name!r} has a stack without the shop. {_anew(name)}")
        state.write_json(kept, {})
        authority = product.server(folder).authority
        chosen = rds or Rds.SERVERLESS
        made = system.make(Aws(endpoint), rows, rds=chosen, authority=authority, javascript=javascript)
        state.write_json(kept, made.document())
        return made


def _of_kind(made: Shop, asked: Rds | None, name: str) -> Shop:
    if asked not in {None, made.database.rds}:
        raise SandboxError(
            f"The sandbox {name!r} has a shop on {made.database.rds} RDS, which cannot become {asked}. {_anew(name)}"
        )
    return made


def refuse_reset(name: str) -> None:
    """Emptying the sandbox would drop the shop's database, which no stack makes again.

    Raises:
        SandboxError: the sandbox has the shop.
    """
    if is_there(name):
        raise SandboxError(f"The sandbox {name!r} has the shop, which `reset` does not make again. {_anew(name)}")


def _anew(name: str) -> str:
    down = f"sandbox down{state.option(name)}"
    return f"Take it down with `{down}`, then run `sandbox up --brownfield{state.option(name)}`."


def deploy(  # noqa: PLR0913  # the program's inputs
    name: str,
    parts: Sequence[str] | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    current: bool = True,
    refresh: bool = False,
    replay: bool = False,
    report: Report | None = None,
) -> Sandbox:
    """Deploy the stack that adopts the shop.

    Args:
        parts: of the stack; without it `bridge` is left out while the table has no stream, which `runbook adopt` makes.
        config: other settings of the program.
        refresh: look at what is there first.
        replay: let the shop's own function bring modern's changes to Aurora.
    """
    made = shop(name)
    if parts is None:
        parts = ALL if _streams(Aws(lifecycle.start(name).endpoint)) else BEFORE_ADOPTING
    settings = {"apiAuth": "NONE", **(config or {}), "adopt": made.adoption(), "parts": list(parts)}
    entities = _replayed(Folder.of(name)) if replay else system.ENTITIES
    return lifecycle.up(name, settings, entities, current=current, refresh=refresh, report=report)


def _replayed(folder: Folder) -> Path:
    """The shop's mapping with one line more."""
    place, table = folder.path / REPLAYED, f"[{system.ENTITY}]\n"
    described = system.ENTITIES.read_text(encoding="utf-8")
    place.write_text(described.replace(table, f'{table}bridge = "replay"\n', 1), encoding="utf-8")
    return place


def _streams(account: Aws) -> bool:
    found = account.client("dynamodb").describe_table(TableName=system.TABLE)["Table"]
    return bool(found.get("StreamSpecification", {}).get("StreamEnabled"))
