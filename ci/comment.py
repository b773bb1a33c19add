"""Prints a pull request's comment: `python -m ci.comment FOLDER`, with one file STACK.jsonl for each preview."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ci.events import Kind, Outcome, Step, read

TAG = "<!-- streamback preview -->"  # by which a later run finds its comment
ROWS = 40  # of a stack; what is more is counted by type
MESSAGES, MESSAGE_CHARACTERS = 10, 600
MERGE, DRIFT = "### What a merge would change", "### What `pulumi up` would bring back to what the program says"
LONGEST = 65_000  # characters; a comment has 65,536 at most

# What holds data, and so must be neither replaced nor deleted by accident.
DATA = {
    "aws:dynamodb/table:Table",
    "aws:rds/cluster:Cluster",
    "aws:rds/clusterInstance:ClusterInstance",
    "aws:s3/bucket:Bucket",
    "aws:secretsmanager/secret:Secret",
}
# The switches that the runbook turns, by type; replacing the resource turns them back.
SWITCHES = {
    "aws:apigateway/stage:Stage": {"variables", "canarySettings"},
    "aws:lambda/eventSourceMapping:EventSourceMapping": {"enabled"},
    "aws:scheduler/schedule:Schedule": {"state"},
}
RIGHTS = {
    "aws:iam/role:Role",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:iam/policy:Policy",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    "aws:lambda/permission:Permission",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:ec2/securityGroup:SecurityGroup",
}
INTENT = {Kind.REPLACE: "to replace", Kind.DELETE: "to delete", Kind.UPDATE: "to update", Kind.CREATE: "to create"}


def comment(outcomes: Sequence[Outcome], title: str = MERGE) -> str:
    """The whole comment; shortened by leaving rows out if it would be too long."""
    for rows in (ROWS, ROWS // 4, 0):
        text = "\n\n".join([TAG, title, *(_stack(each, rows) for each in outcomes)]) + "\n"
        if len(text) <= LONGEST:
            return text
    return text[:LONGEST]


def notes(step: Step) -> list[str]:
    """What a reviewer must look at."""
    found: list[str] = []
    gone = step.kind in {Kind.REPLACE, Kind.DELETE}
    if step.type in DATA:
        found.append("**its data is lost**" if gone else "holds data")
    if step.type in SWITCHES and (gone or SWITCHES[step.type] & set(step.changed)):
        found.append("**switch**")
    if step.type in RIGHTS:
        found.append("**right**" + _difference(step))
    return found


def _stack(outcome: Outcome, rows: int) -> str:
    head = f"**{outcome.stack}**: {_counts(outcome)}"
    if outcome.errors:
        return f"{head}\n\n{_failure(outcome.errors)}"
    if not outcome.steps:
        return head
    ordered = sorted(outcome.steps, key=lambda step: (not _grave(step), not notes(step)))  # stable: the kinds' order
    return "\n\n".join(filter(None, [head, _table(ordered[:rows]), _rest(ordered[rows:])]))


def _grave(step: Step) -> bool:
    return step.kind in {Kind.REPLACE, Kind.DELETE}


def _counts(outcome: Outcome) -> str:
    if outcome.errors:
        return "the preview failed, so nothing can be merged into this stack"
    counts = Counter(step.kind for step in outcome.steps)
    said = [f"{counts[kind]} {INTENT[kind]}" for kind in Kind if counts[kind]] or ["nothing to change"]
    return ", ".join([*said, f"{outcome.unchanged} unchanged"])


def _table(steps: Sequence[Step]) -> str:
    rows = [_row(step) for step in steps]
    return "\n".join(["| | resource | changed | look at |", "|---|---|---|---|", *rows]) if rows else ""


def _row(step: Step) -> str:
    kind = f"**{step.kind}**" if _grave(step) else step.kind
    changed = ", ".join(f"`{_safe(each)}`" for each in step.changed)
    return f"| {kind} | {_short(step.type)} `{_safe(step.name)}` | {changed} | {', '.join(notes(step))} |"


def _difference(step: Step) -> str:
    parts = [f"{sign}`{_safe(action)}`" for sign, all_ in (("+", step.granted), ("-", step.revoked)) for action in all_]
    return f" {' '.join(parts)}" if parts else ""


def _rest(steps: Sequence[Step]) -> str:
    """What the table leaves out, counted."""
    if not steps:
        return ""
    counts = Counter((step.kind, _short(step.type)) for step in steps)
    lines = [f"- {count} {INTENT[kind]}: {name}" for (kind, name), count in counts.most_common()]
    return "\n".join([f"<details><summary>{len(steps)} more</summary>", "", *lines, "", "</details>"])


def _failure(errors: Sequence[str]) -> str:
    lines = [_safe(each)[:MESSAGE_CHARACTERS] for each in errors[:MESSAGES]]
    more = [f"… and {len(errors) - MESSAGES} more"] if len(errors) > MESSAGES else []
    return "\n".join(["```text", *lines, *more, "```"])


def _short(kind: str) -> str:
    """`aws:lambda/function:Function` → `lambda Function`."""
    _, module, name = kind.split(":")
    return f"{module.partition('/')[0]} {name}"


def _safe(text: str) -> str:
    """Text without what ends code in Markdown, or a table's cell."""
    return text.replace("`", "'").replace("|", "/")


def main() -> int:
    """1 if a preview failed or there is none, else 0: a pull request must show both."""
    parser = argparse.ArgumentParser(description="Print a pull request's comment, or the text about drift.")
    parser.add_argument("folder", type=Path, help="has one file STACK.jsonl for each preview")
    parser.add_argument("--drift", action="store_true", help="print nothing if no stack differs from the program")
    given = parser.parse_args()
    files = sorted(given.folder.glob("*.jsonl"))
    outcomes = [read(each.stem, each.read_text(encoding="utf-8").splitlines()) for each in files]
    if not given.drift:
        sys.stdout.write(comment(outcomes))
    elif different := [each for each in outcomes if each.steps or each.errors]:
        sys.stdout.write(comment(different, DRIFT))
    return int(not outcomes or any(each.errors for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
