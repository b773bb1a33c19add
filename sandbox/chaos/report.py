"""What a run shows at its end, and what it leaves behind when a promise was broken."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path

from rich.table import Table

from sandbox.chaos.checker import Found
from sandbox.chaos.run import Verdict
from sandbox.load import records
from sandbox.state import default_root

SHOWN = 5  # violations on the terminal; all of them are in the folder


def table(verdict: Verdict) -> Table:
    held = "[green]kept every promise[/]" if verdict.held else "[red]broke a promise[/]"
    shown = Table(title=f"seed {verdict.seed} {held}", show_header=False)
    waits = verdict.history.waits()
    statuses = Counter(one.status for one in verdict.history.attempts)
    rows = [
        ("took", f"{verdict.seconds:.0f} s, {verdict.tries} runs of the runbook"),
        ("faults injected", ", ".join(f"{name} {count}" for name, count in sorted(verdict.injected.items())) or "none"),
        ("requests", f"{waits.writes:,} writes, {waits.reads:,} reads"),
        ("foreign writers", _foreign(verdict)),
        ("answers", ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))),
        ("asked to retry (503)", _retried(verdict)),
        (
            "records at the end",
            f"{len(verdict.source):,} in the source of truth, {len(verdict.other):,} on the other side",
        ),
    ]
    rows += [(f"longest wait in {name}", f"{found.longest:.2f} s") for name, found in verdict.switches]
    rows += [("violations", str(len(verdict.violations))), ("problems", str(len(verdict.problems)))]
    for name, value in rows:
        shown.add_row(name, value)
    return shown


def _retried(verdict: Verdict) -> str:
    """How many attempts had the documented 503 or count like one, by what is known of their effect."""
    outcomes = Counter(one.outcome for one in verdict.history.attempts if one.retried)
    return ", ".join(f"{name} {count:,}" for name, count in sorted(outcomes.items())) or "none"


def _foreign(verdict: Verdict) -> str:
    writes = [one for one in verdict.foreign if one.writes]
    return f"{sum(not one.retried for one in writes):,} writes acknowledged, {sum(one.retried for one in writes):,} not"


def keep(verdict: Verdict, root: Path | None = None) -> Path:
    """Write down all that is needed to understand a broken promise; returns the folder."""
    folder = (root or default_root()) / "chaos-failures" / f"seed-{verdict.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    records.write(folder / "history.jsonl", [*verdict.history.attempts, *verdict.foreign])
    _write(folder / "diary.txt", verdict.diary)
    _write(folder / "violations.txt", texts(verdict))
    _write(folder / "source.txt", map(_line, verdict.source))
    _write(folder / "other.txt", map(_line, verdict.other))
    for name, text in verdict.evidence.items():
        _write(folder / name, [text])
    return folder


def texts(verdict: Verdict) -> Sequence[str]:
    """Every broken promise as text."""
    return [*verdict.problems, *map(str, verdict.violations)]


def broken(verdict: Verdict) -> Sequence[str]:
    """The first broken promises, for the terminal."""
    found = texts(verdict)
    more = [f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return [*found[:SHOWN], *more]


def _line(found: Found) -> str:
    return "\t".join(map(str, astuple(found)))


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
