"""Which options the operator gave, so that one which would change nothing is refused instead of ignored."""

from collections.abc import Collection

import typer

from runbook.errors import UsageError


def refuse(command: typer.Context, options: Collection[str], why: str) -> None:
    """Refuse options that were given, and would change nothing.

    Args:
        command: the invocation.
        options: as typed, such as `--probe-timeout`.
        why: completes "… does nothing".

    Raises:
        UsageError: naming those that were given.
    """
    given = [option for option in options if _given(command, option)]
    if given:
        do = "does" if len(given) == 1 else "do"
        raise UsageError(
            f"{', '.join(given)} {do} nothing {why}", "Leave it out." if do == "does" else "Leave them out."
        )


def _given(command: typer.Context, option: str) -> bool:
    name = option.removeprefix("--").replace("-", "_")
    source = command.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
