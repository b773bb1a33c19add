"""How `runbook copy` looks: a table that is drawn anew where there is a terminal, lines where there is none."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from runbook.commands import _output
from runbook.copy.control import CopyResult
from runbook.copy.progress import CopyProgress

SAYS = {
    "started": "started: the triggers tell of every change, and the backfill has begun",
    "resumed": "resumed where it was stopped; what was written meanwhile is in the queue",
    "running": "running already; every lane was called",
    "begun anew": "begun anew: every row goes once more",
    "mended": "the triggers are put back; what was written without them was not captured, so run `runbook verify`",
    "removed": "its triggers, its queue and its records are gone, the items stay. A later `runbook copy start` begins "
    "anew",
    "set": "set; the workers hear of it within seconds",
    "stopped": "stopped. The triggers go on telling of every change, so the queue grows with legacy's writes until "
    "`runbook copy start`, which misses nothing",
}
MINUTE, HOUR = 60, 3600


def done(result: CopyResult) -> None:
    """What start, set or stop did."""
    if result.resumed:
        _output.out().print(
            f"`{escape(result.resumed.command)}` had been left half-done; it is {result.resumed.result} now."
        )
    limits = f"  [dim]{_limits(result.record)}[/]" if result.record else ""
    _output.out().print(
        f"copy of [bold]{escape(result.entity)}[/]: {SAYS[result.result]}.{limits}",
        soft_wrap=True,
    )


def status(found: Sequence[CopyProgress]) -> None:
    """Where each entity stands, with its lanes."""
    for one in found:
        facts = Table(box=None, show_header=False, pad_edge=False)
        for name, value in _facts(one).items():
            facts.add_row(f"[dim]{name}[/]", value)
        _output.out().print(f"[bold]{escape(one.entity)}[/]")
        _output.out().print(facts)
        if one.state != "not started":
            _output.out().print(_lanes(one))


@contextmanager
def watching(*, quiet: bool) -> Generator[Callable[[Sequence[CopyProgress]], None]]:
    """Shows progress as it comes: in place on a terminal, a line each elsewhere."""
    console = _output.out()
    if quiet:
        yield lambda _: None
        return
    if not console.is_terminal:
        yield _print_lines
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda found: live.update(_board(found), refresh=True)


def caught_up(found: Sequence[CopyProgress]) -> None:
    """The end of watching."""
    for one in found:
        done = f"{one.backfill_done:,} rows and {one.changes_done:,} changes done, {_queue(one)} waiting"
        _output.out().print(
            f"{_output.MARKS[True]} {escape(one.entity)} has caught up: {done}. "
            f"Next: `runbook verify --entity {escape(one.entity)}`.",
            soft_wrap=True,
        )


def _print_lines(found: Sequence[CopyProgress]) -> None:
    for one in found:
        _output.out().print(escape(line(one)), soft_wrap=True)


def line(one: CopyProgress) -> str:
    """An entity's progress in one line."""
    parts = [
        f"{one.entity}: {one.backfill_done:,} of {one.total:,} ({one.percent:g} %)",
        f"{_rate(one)}, ETA {_eta(one)}",
        f"queue {_queue(one)}",
        f"lag {one.lag:.1f} s",
        f"lanes {_alive(one)}",
    ]
    return ", ".join(parts) + (f", paused: {one.paused}" if one.paused else "")


def _board(found: Sequence[CopyProgress]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("copy", "", "%", "rows", "keys/s", "ETA", "queue", "lag", "lanes", ""):
        table.add_column(column)
    for one in found:
        table.add_row(
            escape(one.entity),
            ProgressBar(total=100, completed=one.percent, width=24),
            f"{one.percent:g}",
            f"{one.backfill_done:,} of {one.total:,}",
            _rate(one),
            _eta(one),
            _queue(one),
            f"{one.lag:.1f} s",
            _alive(one),
            f"[yellow]paused: {escape(one.paused)}[/]" if one.paused else "",
        )
    return table


def _facts(one: CopyProgress) -> dict[str, str]:
    state = one.state if one.state == "running" else f"[yellow]{one.state}[/]"
    facts = {"copy": f"{state}  [dim]phase {one.phase}[/]"}
    if one.state == "not started":
        return facts
    facts["since"] = f"{one.started_at}  [dim]by {escape(one.operator.rpartition(':')[2])}[/]"
    facts["backfill"] = f"{one.backfill_done:,} of {one.total:,} rows ({one.percent:g} %)"
    facts["changes"] = f"{one.changes_done:,} done since"
    facts["of all these"] = f"{one.skipped:,} were right already, {one.deleted:,} deletes, {one.parked:,} in quarantine"
    facts["speed"] = f"{_rate(one)}, ETA {_eta(one)}"
    facts["queue"] = f"{_queue(one)} waiting, the oldest for {one.lag:.1f} s"
    if one.paused:
        facts["paused"] = f"[yellow]{escape(one.paused)}[/]"
    facts["limits"] = _limits(one.limits)
    return facts


def _lanes(one: CopyProgress) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("", "lane", "heard of", "keys", "lag", "worker"):
        table.add_column(column)
    for lane in one.lanes:
        heard = "never" if lane.age is None else f"{lane.age:.0f} s ago"
        table.add_row(
            _output.MARKS[lane.alive],
            str(lane.lane),
            heard,
            f"{lane.rows:,}",
            f"{lane.lag:.1f} s",
            escape(lane.owner),
        )
    return table


def _limits(record: Any) -> str:
    rate, threads, bound = (record.get(name, 0) for name in ("rate", "threads", "bound"))
    return ", ".join(
        [
            f"at most {rate:g} rows/s" if rate else "no limit of rows/s",
            f"pauses above {threads} threads in Aurora" if threads else "no limit of threads",
            f"{bound:,} keys in the queue",
        ]
    )


def _rate(one: CopyProgress) -> str:
    return "-/s" if one.rate is None else f"{one.rate:,.0f}/s"


def _eta(one: CopyProgress) -> str:
    if one.eta is None:
        return "-"
    seconds = round(one.eta)
    minutes = f"{seconds // MINUTE % MINUTE}:{seconds % MINUTE:02}"
    return minutes if seconds < HOUR else f"{seconds // HOUR}:{minutes:0>5}"


def _queue(one: CopyProgress) -> str:
    return f"{one.queue:,}" if one.queue_exact else f"more than {one.queue:,}"


def _alive(one: CopyProgress) -> str:
    return f"{sum(lane.alive for lane in one.lanes)}/{len(one.lanes)}"
