"""A fault on demand: for a while, a share of the calls to one service is answered with ThrottlingException.

AWS throttles when an account or a table is asked for too much; MiniStack never does, so what the callers then do would
go untested. `make chaos` asks for it by a POST to PATH. This is no gap of MiniStack but a tool, and stays.
"""

import json
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

PATH = "/_streamback/throttle"
SCOPE = re.compile(rb"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
BAD_REQUEST = 400

Scope = dict[str, Any]
Receive = Any
Send = Any


@dataclass
class _Fault:
    share: float = 0.0
    until: float = 0.0


def wrapped(application: Callable[[Scope, Receive, Send], Awaitable[None]]) -> Any:
    """The ASGI application with the fault in front of it.

    A POST to PATH takes {"service": as in a signature, "share": 0 to 1, "seconds": how long}.
    """
    faults: dict[str, _Fault] = {}

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            wanted = json.loads((await receive())["body"])
            until = time.monotonic() + float(wanted["seconds"])
            faults[wanted["service"]] = _Fault(float(wanted["share"]), until)
            await _answer(send, 204, [])
        elif scope["type"] == "http" and _hit(faults, scope):
            body = {"__type": "ThrottlingException", "message": "Rate exceeded"}
            await _answer(send, BAD_REQUEST, [(b"x-amzn-errortype", b"ThrottlingException")], body)
        else:
            await application(scope, receive, send)

    return serve


def _hit(faults: dict[str, _Fault], scope: Scope) -> bool:
    if not faults:
        return False
    signed = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    found = SCOPE.search(signed)
    fault = faults.get(found[1].decode()) if found else None
    return fault is not None and time.monotonic() < fault.until and random.random() < fault.share  # noqa: S311  # a fault


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: Any = None) -> None:
    data = b"" if body is None else json.dumps(body).encode()
    headers = [*headers, (b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
