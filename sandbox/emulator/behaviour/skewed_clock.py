"""A fault on demand: the clock of one function's new workers is ahead or behind.

Clocks of machines differ. On one machine they do not, so Python's own clock is moved in the process in question.
`make chaos` asks for it by a POST to PATH, and runs an operator's command with a moved clock. This is no gap of
MiniStack but a tool, and stays. Workers run this file by its path, so it imports nothing but the standard library.
"""
# pyright: basic

import datetime as dt
import json
import os
import time
from pathlib import Path
from typing import Any

PATH = "/_streamback/clock"
VARIABLE = "STREAMBACK_CLOCK_SECONDS"  # in a process's environment: seconds that its clock is ahead
SCRIPT = "STREAMBACK_CLOCK_SCRIPT"  # likewise: this file
NANOSECONDS = 10**9

clocks: dict[str, float] = {}  # by a function's name


def move(seconds: float) -> None:
    """Move the wall clock of this process. The monotonic clock stays as it is."""
    wall, wall_ns, original = time.time, time.time_ns, dt.datetime
    delta = dt.timedelta(seconds=seconds)
    time.time = lambda: wall() + seconds
    time.time_ns = lambda: wall_ns() + int(seconds * NANOSECONDS)

    class Kind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, original)

    class Moved(original, metaclass=Kind):
        """A datetime whose `now` is that of the moved clock; every other instance is a plain one."""

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return original.now(tz) + delta

        @classmethod
        def utcnow(cls) -> Any:
            return original.now(dt.UTC).replace(tzinfo=None) + delta

    dt.datetime = Moved


def move_by_environment() -> None:
    """Move the clock as the environment says, if it does."""
    seconds = float(os.environ.get(VARIABLE, "0"))
    if seconds:
        move(seconds)


def install() -> None:
    """Have new workers of the functions in `clocks` begin with a moved clock."""
    from ministack.core import lambda_runtime as runtime  # noqa: PLC0415  # workers run this file without it

    processes: Any = runtime.subprocess  # pyright: ignore[reportAttributeAccessIssue]
    start = processes.Popen

    def started(command: Any, **named: Any) -> Any:
        environment = named.get("env") or {}
        seconds = clocks.get(environment.get("AWS_LAMBDA_FUNCTION_NAME", ""), 0.0)
        if seconds:
            named["env"] = {**environment, VARIABLE: str(seconds), SCRIPT: str(Path(__file__))}
        return start(command, **named)

    processes.Popen = started


def wrapped(application: Any) -> Any:
    """The ASGI application, with PATH: a POST takes {"function", "seconds"}; 0 seconds for a right clock."""

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            return await application(scope, receive, send)
        wanted = json.loads((await receive())["body"])
        clocks[wanted["function"]] = float(wanted["seconds"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        return await send({"type": "http.response.body", "body": b""})

    return serve
