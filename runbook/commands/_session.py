"""What every command begins with: --stack, --outputs and --json, progress, and errors with their exit codes."""

from __future__ import annotations

import inspect
import shlex
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any, Concatenate, NoReturn, ParamSpec

import typer
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError

from functions.aws.mysql_errors import DataApiError
from runbook.commands import _output
from runbook.commands._options import JsonOption, OutputsOption, StackOption
from runbook.commands._output import Progress
from runbook.errors import FailedError, RefusedError, RunbookError, UsageError
from runbook.stack import Context, resolve

Own = ParamSpec("Own")
SERVICE_ERRORS = (BotoCoreError, ClientError, DataApiError)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One invocation of a command: its target, and how the operator named it."""

    context: Context
    stack: str | None
    outputs: Path | None
    as_json: bool
    progress: Progress

    def command_line(self, *words: str) -> str:
        """A `runbook` command line for the same target, to be copied."""
        target = ["--stack", self.stack] if self.stack else ["--outputs", str(self.outputs)] if self.outputs else []
        return shlex.join(["runbook", *words, *target])

    def taking_over(self, take_over: bool, *, execute: bool = True) -> Session:
        """The same session, whose locks are taken from other operators if `take_over`.

        Raises:
            UsageError: nothing is executed, so no lock is taken.
        """
        if take_over and not execute:
            raise UsageError("--take-over: a plan takes no lock", "Add --execute, or leave --take-over out.")
        return replace(self, context=replace(self.context, take_over=take_over)) if take_over else self

    def confirm(self, act: str, yes: str | None) -> None:
        """In production the operator types the stack's name, or gives it with --yes.

        Raises:
            RefusedError: it was not the stack's name, or there is no terminal.
        """
        stack = self.context.target.stack
        if not self.context.target.production or yes == stack:
            return
        remedy = f"Run: {act} --yes {stack}"
        if yes is not None:
            raise RefusedError(f"--yes {yes}: this stack is called {stack}", remedy)
        if self.as_json or not _is_terminal():
            raise RefusedError(f"{stack} is a production stack; pass --yes {stack} when there is no terminal", remedy)
        question = f"{stack} is a production stack. Type its name to continue"
        if typer.prompt(question, err=True, default="", show_default=False) != stack:
            raise RefusedError("that is not the stack's name; nothing was changed")


def with_session(command: Callable[Concatenate[Session, Own], None]) -> Callable[..., None]:
    """Add the options --stack, --outputs and --json, and pass the session that they open as the first argument.

    A RunbookError, or an error of AWS or Aurora, is printed and ends the process with its exit code.
    """

    @wraps(command)
    def run(*, stack: str | None, outputs: Path | None, as_json: bool, **options: Any) -> None:
        with _opened(stack, outputs, as_json=as_json) as session:
            command(session, **options)  # pyright: ignore[reportCallIssue]  # Typer passes the command's own options

    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    shared = inspect.signature(_shared, eval_str=True).parameters.values()
    run.__signature__ = inspect.Signature([*own, *shared])  # pyright: ignore[reportAttributeAccessIssue]  # for Typer
    return run


def _shared(stack: StackOption = None, outputs: OutputsOption = None, as_json: JsonOption = False) -> None:
    """Only its signature counts."""


@contextmanager
def _opened(stack: str | None, outputs: Path | None, *, as_json: bool) -> Generator[Session]:
    previous = signal.signal(signal.SIGTERM, _interrupt)
    try:
        target = resolve(stack, outputs)
        with _output.progress(quiet=as_json) as progress:
            context = Context.of(target, progress.say)
            yield Session(context=context, stack=stack, outputs=outputs, as_json=as_json, progress=progress)
    except (RunbookError, *SERVICE_ERRORS) as problem:
        error = as_runbook_error(problem)
        _output.error(error, as_json=as_json)
        raise typer.Exit(error.exit_code) from problem
    finally:
        signal.signal(signal.SIGTERM, previous)


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """TERM as Ctrl-C, because a switch then rolls back and a smoke test removes its records."""
    raise KeyboardInterrupt


def as_runbook_error(problem: Exception) -> RunbookError:
    """An error of AWS or Aurora with what to do about it."""
    if isinstance(problem, RunbookError):
        return problem
    if isinstance(problem, EndpointConnectionError):
        return FailedError(
            f"nothing answers: {problem}", "Check that it is running. For the sandbox: `sandbox status`."
        )
    if isinstance(problem, NoCredentialsError):
        return FailedError("no AWS credentials were found", "Set AWS_PROFILE, or log in.")
    service = "Aurora" if isinstance(problem, DataApiError) else "AWS"
    return FailedError(f"{service} returned an error: {problem}", "Run `runbook status`, then the command again.")
