"""docs/bench.svg: the ratios that have a goal, as bars on a logarithmic scale, each with its goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from sandbox.bench.rows import Row, goal_text, ratio_text

WIDTH, LABELS, BAR, LINE, TOP = 900, 330, 400, 24, 64  # pixels; LABELS and BAR of a line's width
LOWEST, HIGHEST = 0.1, 1000.0  # ratios at the two ends
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; }
  .faint { fill: #57606a; }
  .axis { stroke: #d0d7de; }
  .met { fill: #1a7f37; } .missed { fill: #bc4c00; }
  .goal { stroke: #24292f; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .faint { fill: #9198a1; } .axis { stroke: #3d444d; }
    .met { fill: #3fb950; } .missed { fill: #f0883e; } .goal { stroke: #e6edf3; }
  }
"""


def chart(rows: Sequence[Row], title: str) -> str:
    """The SVG document; rows without a ratio or a goal are left out."""
    shown = [row for row in rows if row.ratio and row.goal]
    height = TOP + LINE * len(shown) + 16
    lines = [_line(row, TOP + LINE * index) for index, row in enumerate(shown)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<text class="title" x="16" y="26">{escape(title)}</text>',
            *_axis(height),
            *lines,
            "</svg>",
            "",
        ]
    )


def _axis(height: int) -> list[str]:
    found: list[str] = []
    for power in range(round(math.log10(LOWEST)), round(math.log10(HIGHEST)) + 1):
        x = _x(10.0**power)
        found += [
            f'<line class="axis" x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{height - 8}"/>',
            f'<text class="faint" x="{x}" y="{TOP - 14}" text-anchor="middle">{10.0**power:g}x</text>',
        ]
    return found


def _line(row: Row, top: int) -> str:
    assert row.ratio
    assert row.goal
    value, limit = row.ratio.median, row.goal.at_most if row.goal.at_least is None else row.goal.at_least
    left, right = sorted((_x(1.0), _x(value)))
    kind = "met" if row.met else "missed"
    goal = _x(limit or 1.0)
    return (
        f'<text x="{LABELS - 12}" y="{top + 15}" text-anchor="end">{escape(f"{row.group}: {row.name}")}</text>'
        f'<rect class="{kind}" x="{left}" y="{top + 4}" width="{max(right - left, 1):.1f}" height="14" rx="2"/>'
        f'<line class="goal" x1="{goal}" y1="{top + 1}" x2="{goal}" y2="{top + 21}"/>'
        f'<text x="{LABELS + BAR + 12}" y="{top + 15}">{ratio_text(value)} '
        f'<tspan class="faint">goal {escape(goal_text(row))}</tspan></text>'
    )


def _x(ratio: float) -> float:
    """Where a ratio is; one beyond an end is at the end."""
    share = math.log10(min(max(ratio, LOWEST), HIGHEST) / LOWEST) / math.log10(HIGHEST / LOWEST)
    return round(LABELS + BAR * share, 1)
