"""`runbook verify`."""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from runbook.aws.outputs import EntityTarget
from runbook.commands import _entities, _given, _output
from runbook.commands import rendering_verify as rendering
from runbook.commands._entities import Several
from runbook.commands._options import (
    EntityNamesOption,
    ExecuteOption,
    JsonOption,
    OutputsOption,
    StackOption,
    YesOption,
)
from runbook.commands._session import confirm, opened
from runbook.commands.rendering_verify import Finding
from runbook.errors import MismatchError, UsageError
from runbook.journal.verified import WHOLE
from runbook.repair import Repair
from runbook.stack import Context
from runbook.verify import run as service
from runbook.verify.run import VerifyOptions

LAST = "last"
SHOW = 20
UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}
AGO = re.compile(r"(\d+(?:\.\d+)?)([smh])")
WHAT, REPAIR = "What is compared", "What is done about it"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the operator asked for.

    Attributes:
        changed: whether only what changed is compared.
        since: the moment since when; None for the last whole comparison.
        show: how many differences to list.
        words: the command line again, but for `--execute`.
    """

    options: VerifyOptions
    changed: bool
    since: datetime | None
    repair: bool
    execute: bool
    show: int
    as_json: bool
    words: str


def verify(  # noqa: PLR0913, PLR0917  # each is an option of the command
    command: typer.Context,
    entity: EntityNamesOption = None,
    changed_since: Annotated[
        str | None,
        typer.Option(
            "--changed-since",
            metavar="TIME|last",
            help="Only records that changed since a moment (2026-01-31T12:00, UTC unless it says otherwise), some time "
            "ago (90m, 6h), or since the last comparison of all of them began. Follows the stream, so 24 h at most.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    sample: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the records to compare, always the same ones.", rich_help_panel=WHAT),
    ] = WHOLE,
    settle: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long a difference may take to vanish before it counts.",
            rich_help_panel=WHAT,
        ),
    ] = VerifyOptions.grace,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Show which side of each difference is wrong, and what would be written; --execute writes it.",
            rich_help_panel=REPAIR,
        ),
    ] = False,
    execute: ExecuteOption = False,
    yes: YesOption = None,
    segments: Annotated[
        int, typer.Option(min=1, max=64, help="Parts of the DynamoDB table that are read at once.")
    ] = VerifyOptions.segments,
    anew: Annotated[
        bool, typer.Option("--anew", help="Do not go on from a run that was interrupted, begin anew.")
    ] = False,
    rate: Annotated[
        float,
        typer.Option(metavar="N", min=0, help="Records a second at most, on either side; 0 for as fast as it goes."),
    ] = VerifyOptions.rate,
    show: Annotated[int, typer.Option(min=0, help="Differences to list; --json has all of them.")] = SHOW,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare both sides, record by record, and repair what differs.

    Cost: every item is scanned once (half a read unit per 4 KB), every row is
    read once by its key, up to 200 to a statement, and the keys of all rows
    once more; what differs is read again, consistently, until it is the same or
    --settle has passed, since the bridge or copy may be on its way. --rate
    bounds both sides. --changed-since reads the stream of the time, and of each
    record that changed both sides once.

    Where very much differs, as before the first copy, it ends early: after
    10,000 records that differed at the first look those are looked at again, a
    few times within --settle, and when more than half of them differ still, it
    stops there and says so (exit 3). So never more than some 10,000 differences
    are kept, nor read again at a time.

    One that was killed or interrupted within six hours of its beginning is gone
    on with by the same command, with the same --segments and --sample, where it
    was up to some seconds before; it counts as begun when the first of its runs
    began. The items that were read before are then read once more by key, but
    not their rows. --anew begins anew. Aurora may not answer for a minute.

    A clean comparison of all records is noted for the gates of `cutover
    writes`; a clean one of what changed since then takes its place. Fields that
    entities.toml masks show no value.

    --repair follows the phase: in phase modern the row is written from the item
    as it is then, by the bridge's own code; in phase legacy copy writes the
    item from the row. It never decides against the source of truth, is refused
    while a switch is under way or the bridge is not whole, may be killed and
    run again, and ends with another look.

    Exit code 3 when the sides differ; with --execute, when they still do.
    """
    with opened(stack, outputs, as_json=as_json) as context:
        if (execute or yes) and not repair:
            raise UsageError("--execute: nothing is changed without --repair", "Add it, or leave --execute out.")
        if changed_since and sample < WHOLE:
            raise UsageError("--sample and --changed-since exclude each other")
        if changed_since:
            _given.refuse(command, ("--segments", "--anew"), "with --changed-since, which scans no table")
        options = VerifyOptions(segments=segments, rate=rate, sample=sample, grace=settle, anew=anew)
        asked = Asked(
            options=options,
            changed=changed_since is not None,
            since=moment(changed_since or LAST, datetime.now(UTC)),
            repair=repair,
            execute=execute,
            show=show,
            as_json=as_json,
            words=_words(entity, changed_since, options, show, stack, outputs),
        )
        if execute:
            confirm(context, f"{asked.words} --execute", yes, as_json=as_json)
        found = _entities.each(
            context.target.several(entity),
            lambda one: _one(context, one, asked),
            lambda one: "" if entity else service.nothing_to_compare(context, one),
            None if as_json else lambda one: rendering.finding(one, show),
        )
        _end(asked, found)


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


def _one(context: Context, entity: EntityTarget, asked: Asked) -> Finding:
    """Compare one entity, and plan or do its repair."""
    repair = Repair(context, entity)
    if asked.repair:
        repair.phase()  # refused before anything is read, not after hours
    if asked.changed:
        found = service.run_since(context, entity, asked.options, asked.since)
    else:
        found = service.run(context, entity, asked.options)
    if not asked.repair:
        return Finding(found)
    if asked.execute:
        return Finding(found, repaired=repair.execute(found, asked.options))
    some = found.differences if asked.as_json else found.differences[: asked.show]
    return Finding(found, plan=repair.plan(some), checks=repair.checks() if some else [])


def _end(asked: Asked, found: Several[Finding]) -> None:
    clean = all(one.clean for one in found.done) and not found.problems
    if asked.as_json:
        told = [rendering.document(one) for one in found.done]
        _output.document({"clean": clean, "entities": told, **found.document()})
        found.end(as_json=True, code=0 if clean else MismatchError.exit_code)
        return
    if any(not one.clean for one in found.done):
        mismatch = _mismatch(asked)
        _output.error(mismatch, as_json=False)
        found.end(as_json=False, code=mismatch.exit_code)
    found.end(as_json=False)


def _mismatch(asked: Asked) -> MismatchError:
    if not asked.repair:
        return MismatchError(
            "the sides differ",
            f"See `runbook status` for the bridge and copy; then see what would mend it: {asked.words}",
        )
    if not asked.execute:
        return MismatchError("the sides differ; nothing was repaired", f"Act with: {asked.words} --execute")
    return MismatchError("the sides still differ", "See above what stays, and why; then run it again.")


def _words(  # noqa: PLR0913, PLR0917  # the options to say again
    entities: Sequence[str] | None,
    changed_since: str | None,
    options: VerifyOptions,
    show: int,
    stack: str | None,
    outputs: Path | None,
) -> str:
    words = ["runbook", "verify", "--repair"]
    words += [word for name in entities or () for word in ("--entity", name)]
    words += ["--changed-since", changed_since] if changed_since else []
    for name, field in {"sample": "sample", "settle": "grace", "segments": "segments", "rate": "rate"}.items():
        value = getattr(options, field)
        words += [f"--{name}", f"{value:g}"] if value != getattr(VerifyOptions, field) else []
    words += ["--show", str(show)] if show != SHOW else []
    words += ["--stack", stack] if stack else ["--outputs", str(outputs)] if outputs else []
    return shlex.join(words)
