"""The rows as one table, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from sandbox.bench.rows import Row, figure_text, goal_text, ratio_text, spread_text

WIDTH = 80
COLUMNS = (("", 32), ("streamback", 10), ("other", 9), ("ratio", 6), ("spread", 9), ("goal", 8))  # characters


def table(rows: Sequence[Row], title: str) -> Table:
    """One table, in which each group has a heading; a goal that is not met is red."""
    shown = Table(title=title, box=None, padding=(0, 1, 0, 0), width=WIDTH)
    for heading, width in COLUMNS:
        shown.add_column(heading, justify="right" if heading else "left", width=width, overflow="fold")
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            shown.add_section()
            shown.add_row(f"[bold]{group}[/]", style="cyan")
        shown.add_row(*_cells(row))
    return shown


def _cells(row: Row) -> list[str]:
    color = {True: "green", False: "red", None: "default"}[row.met]
    return [
        f" {row.name}",
        figure_text(row.measured.median, row.unit),
        figure_text(row.other.median, row.unit) if row.other else "",
        ratio_text(row.ratio.median) if row.ratio else "",
        spread_text(row),
        f"[{color}]{goal_text(row)}[/]",
    ]
