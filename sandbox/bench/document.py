"""docs/bench.json: the rows of the last run for each database and latency, and README's sentence from them."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sandbox.bench.rows import WHOLE_RATIO, Goal, Row, Spread

MAIN = "mariadb"  # the run that README quotes
SENTENCE = ("bridge", "inserts 1 KB, {}")  # the group and the name of the rows in it
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"  # around the sentence in README


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of the bench.

    Attributes:
        name: the database, and the latency if one was injected: `mysql, latency aws`.
        quick: whether it was a short one.
        date: when, in UTC.
        machine: on how many cores, of which kind.
    """

    name: str
    quick: bool
    date: str
    machine: str
    rows: Sequence[Row]

    @classmethod
    def now(cls, name: str, rows: Sequence[Row], *, quick: bool) -> Run:
        """A run that has just ended on this machine."""
        return cls(
            name=name,
            quick=quick,
            date=datetime.now(UTC).isoformat(timespec="minutes").replace("+00:00", "Z"),
            machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            rows=rows,
        )


def name_of(database: str, latency: str) -> str:
    return f"{database}, latency {latency}" if latency else database


def add(path: Path, run: Run) -> list[Run]:
    """Write a run to the file, in place of the one of its name; returns all runs that the file has then."""
    kept = [each for each in read(path) if each.name != run.name]
    runs = sorted([*kept, run], key=lambda each: each.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"runs": [_rounded(asdict(each)) for each in runs]}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return runs


def read(path: Path) -> list[Run]:
    """The runs in the file; none without a file."""
    if not path.exists():
        return []
    return [_run(each) for each in json.loads(path.read_text(encoding="utf-8"))["runs"]]


def sentence(runs: Sequence[Run]) -> str:
    """What README says of the speed: how the bridge compares in the main run.

    Raises:
        LookupError: there is no such run, or it lacks a row.
    """
    run = next((each for each in runs if each.name == MAIN), None)
    if run is None:
        raise LookupError(f"docs/bench.json has no run {MAIN}: run `make bench`")
    article, tutorial, batch = (_times(_ratio(run, other)) for other in ("article", "tutorial", "BatchExecute"))
    cores, day = run.machine.partition(",")[0], run.date[:10]
    command = f"make bench{' QUICK=1' * run.quick}"
    return (
        f"The bridge inserts records of 1 KB {article} as fast as one INSERT for each invocation,\n"
        f"  {tutorial} as fast as one ExecuteStatement for each record, and {batch} as fast as BatchExecuteStatement\n"
        f"  (`{command}` on {cores}, {day}; [docs/bench.md](docs/bench.md))."
    )


def _times(ratio: float) -> str:
    return f"{ratio:.0f} times" if ratio >= WHOLE_RATIO else f"{ratio:.1f} times"


def with_sentence(readme: str, runs: Sequence[Run]) -> str:
    """README with its sentence as the runs have it."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{sentence(runs)}{END}{after}"


def _ratio(run: Run, other: str) -> float:
    group, name = SENTENCE
    wanted = group, name.format(other)
    found = next((row for row in run.rows if (row.group, row.name) == wanted), None)
    if found is None or found.ratio is None:
        raise LookupError(f"the run {run.name} has no ratio for {wanted}")
    return found.ratio.median


def _run(raw: Mapping[str, Any]) -> Run:
    rows: Any = [_row(each) for each in raw["rows"]]
    return Run(**(dict(raw) | {"rows": rows}))


def _row(raw: Mapping[str, Any]) -> Row:
    values: dict[str, Any] = dict(raw)
    values |= {name: raw[name] and Spread(**raw[name]) for name in ("measured", "other", "ratio")}
    values["goal"] = raw["goal"] and Goal(**raw["goal"])
    return Row(**values)


def _rounded(value: Any) -> Any:
    """With four digits of each number: more say nothing."""
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        return {name: _rounded(each) for name, each in named.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in cast("Sequence[Any]", value)]
    return float(f"{value:.4g}") if isinstance(value, float) else value
