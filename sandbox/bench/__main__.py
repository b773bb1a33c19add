"""`make bench`: measures each group in one sandbox, prints one table, writes docs/bench.json and docs/bench.svg."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from sandbox import lifecycle
from sandbox.bench import chart, cold_start, cost, deploy, document, legacy_writes, memory, switch, table
from sandbox.bench.bridge import Throughput
from sandbox.bench.copying import Copying
from sandbox.bench.document import Run
from sandbox.bench.lag import Lag
from sandbox.bench.replay import ShopOrders
from sandbox.bench.rows import Row
from sandbox.bench.system import ENTITIES, System
from sandbox.database import product
from sandbox.database.product import Product
from sandbox.emulator.behaviour import data_api_traits, latency
from sandbox.emulator.behaviour.latency import Latency
from sandbox.errors import SandboxError
from sandbox.state import PROJECT

NAME = "bench"
DOCS, BUILD = PROJECT / "docs", PROJECT / "build" / "bench"
README = PROJECT / "README.md"
# In an order in which none disturbs the next: the bridge's rows come before the triggers, the switch comes last.
GROUPS = ("bridge", "lag", "copy", "legacy", "switch", "cold", "deploy")
MEMORY = "memory"  # only when it is named: it takes minutes by itself

console = Console(width=max(table.WIDTH, Console().width))


def measured(system: System, groups: Sequence[str], rows: int) -> Iterator[Row]:
    """The rows of these groups, as they are measured.

    Args:
        rows: of the large table whose memory is measured.
    """
    system.prepare()
    if "bridge" in groups:
        throughput = Throughput(system)
        yield from throughput.rows()
        yield throughput.end_to_end()
        yield from cost.bridge_rows(throughput)
        yield from ShopOrders(system).rows()
    if "lag" in groups:
        yield from Lag(system).rows()
    if "copy" in groups:
        copying = Copying(system)
        yield from copying.rows()
        yield from cost.copy_rows(copying)
        yield from cost.gate_rows(system)
    if "legacy" in groups:
        yield from legacy_writes.rows(system)
    if "switch" in groups:
        yield from switch.rows(system)
    if "cold" in groups:
        yield from cold_start.rows(system)
    if "deploy" in groups:
        yield from deploy.rows(system)
    if MEMORY in groups:
        yield from memory.rows(system, rows)


def grouped(rows: Sequence[Row]) -> list[Row]:
    """The rows with those of one group together, the groups in the order of their first row."""
    order = list(dict.fromkeys(row.group for row in rows))
    return sorted(rows, key=lambda row: order.index(row.group))


def main() -> int:
    """Run the bench; 0 when every row could be measured, whether or not it meets its goal."""
    chosen = _parser().parse_args()
    database, delays = chosen.database, chosen.latency
    name = document.name_of(database, "" if delays == Latency.NONE else delays)
    rows: list[Row] = []
    begun = time.monotonic()
    try:
        lifecycle.down(NAME)
        sandbox = lifecycle.up(
            NAME,
            entities=ENTITIES,
            database=database,
            data_api=data_api_traits.LENIENT,  # as AWS documents it
            delays=delays,
            current=False,
        )
        for row in measured(System(sandbox, chosen.quick), chosen.groups, chosen.rows):
            rows.append(row)
            console.print(f"[dim]{time.monotonic() - begun:5.0f} s  {row.group}: {row.name}[/]", highlight=False)
    except SandboxError as error:
        console.print(table.table(grouped(rows), f"{name}: what was measured before it failed"))
        console.print(f"[red]The bench failed:[/] {error}", highlight=False)
        return 1
    finally:
        if not chosen.keep:
            lifecycle.down(NAME)
    whole = not chosen.quick and set(chosen.groups) == set(GROUPS)
    _write(Run.now(name, grouped(rows), quick=chosen.quick), chosen.into or (DOCS if whole else BUILD))
    console.print(f"{time.monotonic() - begun:.0f} seconds", highlight=False)
    return 0


def _write(run: Run, folder: Path) -> None:
    """Print the table, and write JSON and chart; README's sentence, too, where they are the docs'."""
    title = f"streamback against others: {run.name}{', quick' if run.quick else ''}"
    console.print(table.table(run.rows, title))
    runs = document.add(folder / "bench.json", run)
    main_run = next((each for each in runs if each.name == document.MAIN), run)
    caption = f"Ratios that have a goal ({main_run.name}, {main_run.machine}, {main_run.date[:10]})"
    (folder / "bench.svg").write_text(chart.chart(main_run.rows, caption), encoding="utf-8")
    if folder.resolve() == DOCS and main_run.name == document.MAIN:
        README.write_text(document.with_sentence(README.read_text(encoding="utf-8"), runs), encoding="utf-8")
    console.print(f"Written: {folder / 'bench.json'} and bench.svg", highlight=False, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="measure less, in two minutes")
    parser.add_argument(
        "--database", type=Product, choices=Product, default=product.default(), help="set the database (mariadb)"
    )
    parser.add_argument(
        "--latency", type=Latency, choices=Latency, default=latency.default(), help="set how long AWS calls take (none)"
    )
    parser.add_argument(
        "--groups", nargs="+", choices=(*GROUPS, MEMORY), default=GROUPS, help="measure only these groups"
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", default=memory.MANY, help=f"set the rows of the group memory ({memory.MANY:,})"
    )
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="set where JSON and chart go (docs, or build/bench)"
    )
    parser.add_argument("--keep", action="store_true", help="leave the sandbox up at the end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
