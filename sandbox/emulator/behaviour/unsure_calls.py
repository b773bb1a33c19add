"""A fault on demand: a call whose caller gets no answer, and which takes effect all the same, at once or much later.

In a real network an answer may be lost, and a request may stand still in a queue until after its caller has left.
`make chaos` asks for it by a POST to PATH. Within the emulator every client's every call passes here, so no proxy
between each client and the emulator is needed. This is no gap of MiniStack but a tool, and stays.
"""
# pyright: basic

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

PATH = "/_streamback/unsure"
CLOSING = 0.05  # seconds in which uvicorn notices that a connection is closed

Scope = dict[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


@dataclass
class Rule:
    """Which calls are hit, and how.

    Attributes:
        pattern: is looked for in the call's method, path, target and body.
        calls: how many calls are still to be hit.
        until: monotonic seconds after which no call is hit.
        late: seconds after which a call takes effect; 0 for at once.
        leaves: seconds after which its caller loses the connection.
    """

    pattern: re.Pattern[bytes]
    calls: int
    until: float
    late: float
    leaves: float
    hit: int = 0

    def takes(self, text: bytes) -> bool:
        """Whether it hits this call, which then counts."""
        if not self.calls or time.monotonic() > self.until or not self.pattern.search(text):
            return False
        self.calls, self.hit = self.calls - 1, self.hit + 1
        return True


class Rules:
    """The rules by name; each name has one."""

    def __init__(self) -> None:
        self._rules: dict[str, Rule] = {}
        self._delivering: set[asyncio.Task[None]] = set()

    @property
    def any(self) -> bool:
        return any(rule.calls and time.monotonic() <= rule.until for rule in self._rules.values())

    def answer(self, wanted: dict[str, Any]) -> dict[str, int]:
        """Add a rule if the document has a pattern; what its calls and all calls came to."""
        if "pattern" in wanted:
            self._rules[wanted["name"]] = Rule(
                re.compile(wanted["pattern"].encode(), re.DOTALL),
                int(wanted.get("calls", 1)),
                time.monotonic() + float(wanted["seconds"]),
                float(wanted.get("late", 0)),
                float(wanted.get("leaves", 0)),
            )
        found = self._rules.get(wanted["name"])
        return {"hit": found.hit if found else 0, "waiting": len(self._delivering)}

    def of(self, text: bytes) -> Rule | None:
        return next((rule for rule in self._rules.values() if rule.takes(text)), None)

    def deliver(self, work: Any) -> asyncio.Task[None]:
        """Have a call take effect, whatever becomes of its connection."""
        task = asyncio.get_running_loop().create_task(work)
        self._delivering.add(task)
        task.add_done_callback(self._delivering.discard)
        return task


def wrapped(application: Application) -> Any:
    """The ASGI application with the fault in front of it.

    A POST to PATH takes {"name", "pattern", "seconds", "calls", "late", "leaves"}, as `Rule` has them, or the name
    alone. It answers how many calls that rule has hit, and how many of any rule are still to take effect.
    """
    rules = Rules()

    async def serve(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            wanted = json.loads(await _body(receive))
            return await _answer(send, json.dumps(rules.answer(wanted)).encode())
        if scope["type"] != "http" or not rules.any:
            return await application(scope, receive, send)
        body = await _body(receive)
        rule = rules.of(_text(scope, body))
        if rule is None:
            return await application(scope, _replayed(body), send)
        task = rules.deliver(_effect(application, scope, body, rule.late))
        await (asyncio.sleep(rule.leaves) if rule.late else asyncio.wait([task]))
        return await _lose(receive)

    return serve


async def _effect(application: Application, scope: Scope, body: bytes, late: float) -> None:
    await asyncio.sleep(late)

    async def unheard(_: Any) -> None:
        """The answer, which reaches no caller."""

    await application(scope, _replayed(body), unheard)


def _replayed(body: bytes) -> Any:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive


async def _body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _text(scope: Scope, body: bytes) -> bytes:
    target = next((value for name, value in scope["headers"] if name == b"x-amz-target"), b"")
    query = b"?" + scope["query_string"] if scope.get("query_string") else b""
    return b" ".join((scope["method"].encode(), scope["path"].encode() + query, target)) + b"\n" + body


async def _lose(receive: Any) -> None:
    """Close the caller's connection without an answer: its request's cycle in uvicorn has the transport."""
    receive.__self__.transport.abort()
    await asyncio.sleep(CLOSING)


async def _answer(send: Any, data: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": data})
