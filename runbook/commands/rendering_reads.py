"""How `runbook cutover reads` looks when it has acted."""

from __future__ import annotations

from rich.markup import escape

from runbook.commands import _output
from runbook.cutover.canary_analysis import CanaryVerdict
from runbook.cutover.reads import ReadsResult


def done(entity: str, result: ReadsResult) -> None:
    """What it did, who shares the percentage, what the watch saw."""
    if result.resumed:
        _output.out().print(
            escape(f"`{result.resumed.command}` had been left half-done; it is {result.resumed.result} now.")
        )
    what = "done" if result.changed else "nothing to do, it is so already"
    where = f"phase {result.state.phase}, {result.percent}% of reads on modern, writes → {result.routes.writes}"
    _output.out().print(f"{result.command} of {escape(entity)}: {what}  ({where})", soft_wrap=True)
    if result.shares_with:
        _output.out().print(
            escape(f"The API has one percentage: {', '.join(result.shares_with)} is in the canary with it."),
            soft_wrap=True,
        )
    if result.verdict:
        _verdict(result.verdict)


def _verdict(verdict: CanaryVerdict) -> None:
    requests = verdict.requests
    _output.out().print(
        f"Watched for {verdict.seconds:.0f} s: modern {requests.modern}; legacy {requests.legacy}.",
        soft_wrap=True,
    )
