"""The path of a request to a REST API reaches the function as the client sent it, percent-encoded, as on AWS.

MiniStack decodes it, so that an escaped slash becomes one of the path's own and `%2541` arrives as `%41`, which the
function must decode once more on AWS. `pathParameters` are decoded once, on AWS too. This file can go when MiniStack
gives functions the path as it was sent.
"""
# pyright: basic

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from ministack.services import apigateway_v1 as api

from sandbox.emulator.patching import check_version, wrap

INVOKED = re.compile(r"/restapis/[^/]+/[^/]+/_user_request_(/|$)")

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def install() -> None:
    check_version("behaviour/encoded_paths")
    wrap(api, "_build_lambda_event_v1", _decoded_parameters)


def wrapped(application: Application) -> Application:
    """The ASGI application, which gets the path of a call of a REST API as it was sent."""

    async def serve(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and INVOKED.match(scope["path"]):
            scope = {**scope, "path": scope["raw_path"].decode("latin-1")}
        await application(scope, receive, send)

    return serve


def _decoded_parameters(stock: Any) -> Any:
    def build(*arguments: Any, **named: Any) -> dict[str, Any]:
        event = stock(*arguments, **named)
        sent = event["pathParameters"] or {}
        decoded = {name: unquote(value) for name, value in sent.items()}
        return {**event, "pathParameters": decoded or None}

    return build
