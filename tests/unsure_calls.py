"""Calls to AWS whose outcome the caller does not learn: the answer is lost, or the request arrives late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from botocore.exceptions import ReadTimeoutError


class UnsureCalls:
    """Some next requests of an operation, really sent, each of which ends in a read timeout for the caller.

    Args:
        client: boto3's; it sends every other request as usual.
        operation: such as `PutItem`.
        times: how many requests.
        late: whether a request is sent by `deliver` only, instead of at once.
        meanwhile: called after each of these requests, before its caller goes on.
    """

    def __init__(
        self,
        client: Any,
        operation: str,
        *,
        times: int = 1,
        late: bool = False,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> None:
        self.requests = 0  # of the operation, these and others
        self._send = client._endpoint.http_session.send
        self._left, self._late, self._meanwhile = times, late, meanwhile
        self._held: list[Any] = []
        self._events = client.meta.events
        self._event = f"before-send.{client.meta.service_model.service_id.hyphenize()}.{operation}"

    def __enter__(self) -> Self:
        self._events.register(self._event, self._unsure)
        return self

    def __exit__(self, *_: object) -> None:
        self._events.unregister(self._event, self._unsure)

    def deliver(self) -> list[int]:
        """Send the requests that are late; the status of each answer."""
        held, self._held = self._held, []
        return [self._send(request).status_code for request in held]

    def _unsure(self, request: Any, **_: object) -> None:
        self.requests += 1
        if not self._left:
            return
        self._left -= 1
        if self._late:
            self._held.append(request)
        else:
            self._send(request)
        self._meanwhile()
        raise ReadTimeoutError(endpoint_url=request.url)
