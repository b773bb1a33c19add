"""How copy's progress is shown: drawn in place on a terminal, in lines elsewhere, and as a table."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from runbook.commands import _output
from runbook.copy.progress import CopyProgress
from runbook.copy.ranges import RangesProgress

MINUTE, HOUR = 60, 3600


@contextmanager
def showing(*, quiet: bool) -> Generator[Callable[[Sequence[CopyProgress]], None]]:
    """What shows the progress of several entities; nothing is shown if `quiet`."""
    console = _output.out()
    if quiet:
        yield lambda _: None
    elif _output.is_live(console):
        with Live(console=console, auto_refresh=False) as live:
            yield lambda found: live.update(Group(*map(_board, found)), refresh=True)
    else:
        yield _print_lines


def _print_lines(found: Sequence[CopyProgress]) -> None:
    for one in found:
        troubles = "".join(f", {name}: {text}" for name, text in _troubles(one).items())
        share = f"{one.backfill_done:,} of {one.total:,} ({one.percent:g} %)"
        _output.line(escape(f"{one.entity}: {share}, {_figures(one)}{troubles}"))


def _board(one: CopyProgress) -> Group:
    """Two lines: the bar, and the figures below it."""
    bar = Table.grid(padding=(0, 2))
    share = f"{one.backfill_done:,} of {one.total:,} rows ({one.percent:g} %)"
    bar.add_row(f"[bold]{escape(one.entity)}[/]", ProgressBar(total=100, completed=one.percent, width=24), share)
    troubles = "".join(f"\n  [yellow]{name}: {escape(text)}[/]" for name, text in _troubles(one).items())
    return Group(bar, f"  [dim]{_figures(one)}[/]{troubles}")


def _figures(one: CopyProgress) -> str:
    workers = f"ranges {one.ranges.done:,}/{one.ranges.total:,}" if one.ranges else f"lanes {_alive(one)}"
    return f"{_rate(one)}, ETA {_eta(one)}, queue {queue(one)}, lag {one.lag:.1f} s, {workers}"


def _troubles(one: CopyProgress) -> dict[str, str]:
    found = {"paused": one.paused, "schedules": one.schedules, "ranges": one.ranges.problem if one.ranges else ""}
    return {name: text for name, text in found.items() if text}


def facts(one: CopyProgress) -> dict[str, str]:
    """The lines of `copy status`, by name."""
    state = one.state if one.state == "running" else f"[yellow]{one.state}[/]"
    found = {"copy": f"{state}  [dim]phase {one.phase}[/]"}
    if one.schedules:
        found["schedules"] = f"[yellow]{escape(one.schedules)}[/]; `runbook copy start` or `copy stop` corrects them"
    if one.state == "not started":
        return found
    found["since"] = f"{one.started_at}  [dim]by {escape(one.operator.rpartition(':')[2])}[/]"
    found["backfill"] = f"{one.backfill_done:,} of {one.total:,} rows ({one.percent:g} %)"
    found["changes"] = f"{one.changes_done:,} done since"
    found["of these"] = f"{one.skipped:,} right already, {one.deleted:,} deletes, {one.quarantined:,} quarantined"
    found["rate"] = f"{_rate(one)}, ETA {_eta(one)}"
    found["queue"] = f"{queue(one)} waiting, the oldest for {one.lag:.1f} s"
    if one.ranges:
        found["ranges"] = _ranges(one.ranges)
    if one.paused:
        found["paused"] = f"[yellow]{escape(one.paused)}[/]"
    found["limits"] = limits(one.limits)
    return found


def _ranges(one: RangesProgress) -> str:
    text = f"{one.done:,} of {one.total:,} done, {one.workers} at once, stage {one.stage}, {one.execution.lower()}"
    return f"{text}  [yellow]{escape(one.problem)}[/]" if one.problem else text


def lanes(one: CopyProgress) -> Table:
    """One row a lane."""
    table = _output.table("", "lane", "last report", "keys", "lag", "worker")
    for lane in one.lanes:
        reported = "never" if lane.age is None else f"{lane.age:.0f} s ago"
        cells = str(lane.lane), reported, f"{lane.rows:,}", f"{lane.lag:.1f} s", escape(lane.owner)
        table.add_row(_output.MARKS[lane.alive], *cells)
    return table


def limits(record: Mapping[str, Any]) -> str:
    """Copy's limits as its record has them."""
    rate, threads, bound = (record.get(name, 0) for name in ("rate", "threads", "bound"))
    parts = (
        f"at most {rate:g} rows/s" if rate else "no limit of rows/s",
        f"pauses above {threads} threads in Aurora" if threads else "no limit of threads",
        f"{bound:,} keys in the queue",
    )
    return ", ".join(parts)


def _rate(one: CopyProgress) -> str:
    return "-/s" if one.rate is None else f"{one.rate:,.0f}/s"


def _eta(one: CopyProgress) -> str:
    if one.eta is None:
        return "-"
    seconds = round(one.eta)
    minutes = f"{seconds // MINUTE % MINUTE}:{seconds % MINUTE:02}"
    return minutes if seconds < HOUR else f"{seconds // HOUR}:{minutes:0>5}"


def queue(one: CopyProgress) -> str:
    """How many changes wait."""
    return f"{one.queue:,}" if one.queue_exact else f"more than {one.queue:,}"


def _alive(one: CopyProgress) -> str:
    return f"{sum(lane.alive for lane in one.lanes)}/{len(one.lanes)}"
