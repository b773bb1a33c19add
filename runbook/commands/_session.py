"""The frame around every command.

Find the target, show progress, turn each kind of failure into its message and exit code.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError
from botocore.exceptions import HTTPClientError as BotoHTTPError

from functions.aws.mysql_errors import DataApiError
from runbook.commands import _output
from runbook.errors import FailedError, RefusedError, RunbookError
from runbook.stack import Context, resolve


@contextmanager
def opened(stack: str | None, outputs: Path | None, *, as_json: bool, quiet: bool = False) -> Generator[Context]:
    """The context of the command's target; `quiet` for one that shows its progress itself.

    What goes wrong inside is said and ends the process with its exit code.
    """
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        found = resolve(stack, outputs)
        with _output.progress(quiet=as_json or quiet) as say:
            yield Context.of(found, say)
    except RunbookError as problem:
        _output.error(problem, as_json=as_json)
        raise typer.Exit(problem.exit_code) from problem
    except (BotoCoreError, BotoHTTPError, ClientError, DataApiError) as problem:
        told = _aws(problem)
        _output.error(told, as_json=as_json)
        raise typer.Exit(told.exit_code) from problem
    finally:
        signal.signal(signal.SIGTERM, previous)


def confirm(context: Context, act: str, yes: str | None, *, as_json: bool) -> None:
    """In production the operator types the stack's name (or gives it with --yes).

    Raises:
        RefusedError: it was not the stack's name, or there is nobody to ask.
    """
    stack = context.target.stack
    if not context.target.production or yes == stack:
        return
    if yes is not None:
        raise RefusedError(f"--yes {yes}: this stack is called {stack}", f"Act with: {act} --yes {stack}")
    if as_json or not _asks():
        raise RefusedError(f"{stack} is in production and nobody can be asked", f"Act with: {act} --yes {stack}")
    if (
        typer.prompt(f"{stack} is in production. Type its name to go on", err=True, default="", show_default=False)
        != stack
    ):
        raise RefusedError("that is not the stack's name; nothing was changed")


def _asks() -> bool:
    """Whether somebody sits at the terminal to answer."""
    return sys.stdin.isatty()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """TERM as Ctrl-C: a switch puts everything back, a smoke test removes its records."""
    raise KeyboardInterrupt


def _aws(problem: Exception) -> FailedError:
    if isinstance(problem, EndpointConnectionError):
        return FailedError(f"nothing answers: {problem}", "Is it running? For the sandbox: `sandbox status`.")
    if isinstance(problem, NoCredentialsError):
        return FailedError("no AWS credentials were found", "Set AWS_PROFILE, or log in.")
    if isinstance(problem, DataApiError):
        return FailedError(f"Aurora says: {problem}", "See `runbook status`, then run the command again.")
    return FailedError(f"AWS says: {problem}", "See `runbook status`, then run the command again.")
