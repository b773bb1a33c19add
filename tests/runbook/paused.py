"""Runs a command that stands still at one of its requests, while another operator acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from runbook.errors import RunbookError
from runbook.stack import Context

SERVICES = ("apigateway", "dynamodb", "functions", "rds_data", "streams", "sts")
EVENT = "before-send.*"


@dataclass
class Pause:
    """A pause before the first request that `at` names, after `skip` of them; `meanwhile` runs in it."""

    at: Callable[[str, bytes], bool]
    meanwhile: Callable[[], object]
    skip: int = 0
    reached: bool = field(default=False, init=False)

    def see(self, request: Any, event_name: str, **_: Any) -> None:
        body = request.body or b""
        text = body.encode() if isinstance(body, str) else bytes(body)
        if self.reached or not self.at(event_name.rpartition(".")[2], text):
            return
        if self.skip:
            self.skip -= 1
            return
        self.reached = True
        self.meanwhile()


def own(context: Context) -> Context:
    """The same stack for another operator: clients of its own, which takes the lock of an operator at work."""
    return replace(Context.of(context.target), take_over=True)


def paused(context: Context, pause: Pause, run: Callable[[Context], object]) -> RunbookError | None:
    """Run a command of an operator who is paused; the error that it ended with."""
    sleeper = Context.of(context.target)
    watch(sleeper, pause)
    try:
        run(sleeper)
    except RunbookError as error:
        return error
    return None


def watch(context: Context, pause: Pause) -> None:
    """Pause at the requests of all clients of a context."""
    for service in SERVICES:
        getattr(context.clients, service).meta.events.register(EVENT, pause.see)


def contains(text: str) -> Callable[[str, bytes], bool]:
    """Whether a request has this text in its body."""
    return lambda _, body: text.encode() in body
