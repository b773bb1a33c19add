"""`runbook verify`: the comparison, its differences by field, and the repair that is planned or done."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape

from runbook.aws.outputs import EntityTarget
from runbook.checks.check import Check
from runbook.commands import _entities, _output
from runbook.commands._entities import Several
from runbook.commands._options import (
    EntityNamesOption,
    ExecuteOption,
    TakeOverOption,
    YesOption,
    changed,
    in_panel,
    refuse_given,
)
from runbook.commands._session import Session, with_session
from runbook.errors import MismatchError, UsageError
from runbook.journal.verified import WHOLE
from runbook.repair import Repair, Repaired, RepairPlan, summary
from runbook.verify import run as service
from runbook.verify.compare import Difference
from runbook.verify.run import Verification, VerifyOptions

LAST = "last"
SHOW = 20
UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
AGO = re.compile(r"(\d+(?:\.\d+)?)([smh])")
LONGEST_VALUE = 60  # characters
OPTIONS = {"--sample": "sample", "--settle": "grace", "--segments": "segments", "--rate": "rate"}
_comparing = in_panel("What to compare")
SinceOption = Annotated[
    str | None,
    _comparing(
        "--changed-since",
        metavar="TIME|last",
        help="Compare records changed since a time, an age (90m) or `last`.",
        show_default="all records",
    ),
]
SampleOption = Annotated[
    float, _comparing("--sample", metavar="SHARE", min=0, max=1, help="Compare this share of the records.")
]
GraceOption = Annotated[
    float, _comparing("--settle", metavar="SECONDS", min=0, help="Give a difference this many seconds to disappear.")
]
RepairOption = Annotated[
    bool, in_panel("Repair")("--repair", help="Plan the repair of each difference; --execute repairs.")
]
SegmentsOption = Annotated[
    int, typer.Option(metavar="N", min=1, max=64, help="Read N segments of the DynamoDB table at once.")
]
EmptyOption = Annotated[
    bool, typer.Option("--allow-empty", help="Count two empty sides as equal; without it they are an error.")
]
AnewOption = Annotated[bool, typer.Option("--anew", help="Begin anew instead of resuming an interrupted run.")]
RateOption = Annotated[
    float, typer.Option(metavar="N", min=0, help="Compare at most N records a second; 0 for no limit.")
]
ShowOption = Annotated[int, typer.Option(metavar="N", min=0, help="List at most N differences; --json lists all.")]


@dataclass(frozen=True, kw_only=True)
class VerifyRequest:
    """What the operator asked for.

    Attributes:
        changed: whether only what changed is compared.
        since: the moment since when; None for the last full comparison.
        show: how many differences to list.
        repair_line: the command line that plans the repair.
    """

    options: VerifyOptions
    changed: bool
    since: datetime | None
    repair: bool
    execute: bool
    show: int
    repair_line: str


@dataclass(frozen=True)
class Finding:
    """What was found of one entity, and what is or was to be done about it.

    Attributes:
        plan: what would be done; None when it was not asked for, or when it was done.
        repaired: what was done; None when nothing was to be.
    """

    found: Verification
    plan: Sequence[RepairPlan] | None = None
    checks: Sequence[Check] = ()
    repaired: Repaired | None = None

    @property
    def clean(self) -> bool:
        """Whether both sides are the same, in the end."""
        return self.repaired.clean if self.repaired else self.found.clean


@with_session
def verify(
    session: Session,
    command: typer.Context,
    entity: EntityNamesOption = None,
    changed_since: SinceOption = None,
    sample: SampleOption = WHOLE,
    settle: GraceOption = VerifyOptions.grace,
    repair: RepairOption = False,
    execute: ExecuteOption = False,
    yes: YesOption = None,
    take_over: TakeOverOption = False,
    segments: SegmentsOption = VerifyOptions.segments,
    anew: AnewOption = False,
    allow_empty: EmptyOption = False,
    rate: RateOption = VerifyOptions.rate,
    show: ShowOption = SHOW,
) -> None:
    """Compare both sides record by record, and repair what differs.

    A difference counts if it is still there after --settle seconds. A clean comparison is kept for the checks of `cutover writes`. Exits with 3 if the sides differ in the end.

    Reads every item and every row once. --changed-since reads only what the stream has shown, 24 hours at most.

    To resume an interrupted run, run the same command within six hours.

    Two empty sides are an error, because a mistyped name would look like that; --allow-empty takes them for equal.

    --repair follows the phase: it writes the row from the item in phase modern, and the item from the row in phase legacy.
    """
    session = session.taking_over(take_over, execute=execute)
    context = session.context
    if (execute or yes) and not repair:
        raise UsageError("--execute: nothing is changed without --repair", "Add it, or leave --execute out.")
    if changed_since and sample < WHOLE:
        raise UsageError("--sample and --changed-since exclude each other", "Give one of them.")
    if changed_since:
        refuse_given(command, ("--segments", "--anew"), "with --changed-since, which scans no table")
    options = VerifyOptions(
        segments=segments, rate=rate, sample=sample, grace=settle, anew=anew, allow_empty=allow_empty
    )
    request = VerifyRequest(
        options=options,
        changed=changed_since is not None,
        since=moment(changed_since or LAST, datetime.now(UTC)),
        repair=repair,
        execute=execute,
        show=show,
        repair_line=session.command_line(*_words(entity, changed_since, options, show)),
    )
    if execute:
        session.confirm(f"{request.repair_line} --execute", yes)
    found = _entities.each(
        context.target.several(entity),
        lambda one: _verify(session, one, request),
        lambda one: "" if entity else service.nothing_to_compare(context, one),
        None if session.as_json else lambda one: _print(one, show),
    )
    _end(session, request, found)


def moment(text: str, now: datetime) -> datetime | None:
    """The moment that the operator means; None for the last comparison of all records.

    Raises:
        UsageError: it is none.
    """
    if text == LAST:
        return None
    if found := AGO.fullmatch(text):
        return now - timedelta(**{UNITS[found[2]]: float(found[1])})
    try:
        named = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--changed-since {text}: expected a time like 2026-01-31T12:00, an age like 90m or 6h, or `last`"
        ) from error
    return named if named.tzinfo else named.replace(tzinfo=UTC)


def _words(entities: Sequence[str] | None, changed_since: str | None, options: VerifyOptions, show: int) -> list[str]:
    """The command that plans the repair, with the options as typed."""
    return [
        *("verify", "--repair"),
        *(word for name in entities or () for word in ("--entity", name)),
        *(("--changed-since", changed_since) if changed_since else ()),
        *changed(options, VerifyOptions, OPTIONS),
        *(("--show", str(show)) if show != SHOW else ()),
    ]


def _verify(session: Session, entity: EntityTarget, request: VerifyRequest) -> Finding:
    """Compare one entity, and plan or do its repair."""
    context, options = session.context, request.options
    repair = Repair(context, entity)
    if request.repair:
        repair.phase()  # refused before anything is read, not after hours
    if request.changed:
        found = service.run_since(context, entity, options, request.since)
    else:
        found = service.run(context, entity, options)
    if not request.repair:
        return Finding(found)
    if request.execute:
        return Finding(found, repaired=repair.execute(found, options))
    some = found.differences if session.as_json else found.differences[: request.show]
    return Finding(found, plan=repair.plan(some), checks=repair.checks() if some else [])


def _end(session: Session, request: VerifyRequest, found: Several[Finding]) -> None:
    clean = all(one.clean for one in found.done)
    code = 0 if clean else MismatchError.exit_code
    if session.as_json:
        entities = [_document(one) for one in found.done]
        _output.document({"clean": clean and not found.problems, "entities": entities, **found.document()})
    elif not clean:
        _output.error(_mismatch(request, [one.found.entity for one in found.done if one.found.empty]))
    found.end(as_json=session.as_json, code=code)


def _mismatch(request: VerifyRequest, empty: Sequence[str]) -> MismatchError:
    if empty:
        return MismatchError(
            f"nothing was compared: both sides of {', '.join(empty)} are empty",
            "Check `legacy` and `modern` in entities.toml. If they are meant to be empty, add --allow-empty.",
        )
    if not request.repair:
        return MismatchError(
            "the sides differ",
            f"Check bridge and copy with `runbook status`, then plan the repair: {request.repair_line}",
        )
    if not request.execute:
        return MismatchError("the sides differ; nothing was repaired", f"Act with: {request.repair_line} --execute")
    return MismatchError("the sides still differ", "Correct what is listed above as not repaired, then run it again.")


def _print(one: Finding, show: int) -> None:
    found = one.found
    mark, seconds = _output.MARKS[found.clean], f"[dim]{found.seconds:.1f} s[/]"
    _output.line(f"{mark} [bold]{escape(found.entity)}[/]  {_counts(found)}  {seconds}")
    if found.resumed:
        _output.line(f"[dim]Resumed an interrupted run that began at {found.started_at}.[/]")
    if found.differences:
        _print_differences(found.differences[:show], len(found.differences))
    if found.more:
        _output.line(f"[red]Ended early after {len(found.differences):,} differences. There are more.[/]")
    if one.plan:
        _print_plan(one.plan, one.checks)
    if one.repaired:
        _print_repaired(one.repaired, show)


def _counts(found: Verification) -> str:
    sample = "" if found.sample >= WHOLE else f" (a sample of {found.sample:.0%})"
    counts = f"{found.equal:,} of {found.compared:,} equal{sample}"
    if found.items is None or found.rows is None:
        return f"{counts}; those that changed since {found.since}"
    return f"{counts}; {found.items:,} items, {found.rows:,} rows"


def _print_differences(shown: Sequence[Difference], total: int) -> None:
    table = _output.table("key", "difference", "legacy", "modern")
    for difference in shown:
        if not difference.fields:
            table.add_row(escape(difference.key), escape(difference.reason or difference.kind), "", "")
        for field in difference.fields:
            cells = (_output.value(each, LONGEST_VALUE) for each in (field.legacy, field.modern))
            table.add_row(escape(difference.key), escape(field.field), *cells)
    _output.keep_keys(table, "key")
    _output.rows(table, len(shown), total)


def _print_plan(plan: Sequence[RepairPlan], checks: Sequence[Check]) -> None:
    table = _output.table("key", "wrong", "repair would")
    for one in plan:
        table.add_row(escape(one.difference.key), one.wrong, escape(one.action.value))
    _output.out().print(table)
    if any(check.ok is False for check in checks):
        _output.line("Repair would be refused, because the bridge is not healthy:")
        _output.checks(checks)


def _print_repaired(repaired: Repaired, show: int) -> None:
    for says, count in summary(repaired.resolutions).items():
        _output.line(f"{count:,} {'record' if count == 1 else 'records'}: {escape(says)}")
    stay = [one for one in repaired.resolutions if not one.resolved]
    for one in stay[:show]:
        _output.line(f"{_output.MARKS[False]} {escape(one.key)}: {escape(one.says)}")
    if repaired.more:
        _output.line("More differs than was listed and repaired. Run it again.")
    if repaired.left:
        _output.line("These still differ:")
        _print_differences(repaired.left[:show], len(repaired.left))
    else:
        _output.line(f"{_output.MARKS[True]} repaired: both sides of these records are the same")


def _document(one: Finding) -> dict[str, Any]:
    found: dict[str, Any] = _output.plain(one.found) | {"clean": one.clean}
    if one.plan is not None:
        records = [
            {
                "key": each.difference.key,
                "wrong": each.wrong,
                "action": each.action.name.lower(),
                "does": each.action.value,
            }
            for each in one.plan
        ]
        found["repair"] = {"executed": False, "checks": _output.plain(list(one.checks)), "records": records}
    if one.repaired:
        found["repair"] = {
            "executed": True,
            "records": _output.plain(list(one.repaired.resolutions)),
            "left": _output.plain(list(one.repaired.left)),
        }
    return found
