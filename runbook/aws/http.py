"""Requests to the deployed API: signed with SigV4 when its methods ask for IAM, plain when they do not."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from runbook.aws.outputs import Target
from runbook.errors import FailedError

if TYPE_CHECKING:
    import boto3

UNDONE = frozenset({429, 503})  # throttled; waking, held or overloaded
OK = 200
REQUEST_TIMEOUT = 35  # seconds to connect and to read; API Gateway itself answers after 29
# Without it a body waits 40 ms for the acknowledgement of its header.
AT_ONCE: Any = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
TIMEOUT_SECONDS = 90.0  # Aurora Serverless v2 wakes from zero in about 15
TEXT_SHOWN = 200


@dataclass(frozen=True)
class Answer:
    """What the API said: the status and the JSON body (None when there is none)."""

    status: int
    body: Any
    retry_after: float = 1.0

    @property
    def unknown(self) -> bool:
        """Whether a write may have happened although the answer is an error."""
        return isinstance(self.body, dict) and cast("dict[str, Any]", self.body).get("outcome") == "unknown"

    def __str__(self) -> str:
        if self.body is None:
            return str(self.status)
        text = json.dumps(self.body, ensure_ascii=False)
        return f"{self.status} {text if len(text) <= TEXT_SHOWN else text[:TEXT_SHOWN] + '…'}"


class ApiClient:
    """The deployed REST API of a target."""

    def __init__(self, target: Target, session: boto3.Session) -> None:
        self._target = target
        self._boto = session
        self._http = URLLib3Session(timeout=REQUEST_TIMEOUT, socket_options=AT_ONCE)

    def get(self, path: str, **query: str | int) -> Answer:
        """GET; `path` begins with a slash and holds no query."""
        return self.request("GET", path, query=query)

    def request(self, method: str, path: str, body: Any = None, query: Mapping[str, str | int] | None = None) -> Answer:
        """One request, tried again while the API says that it did nothing (429, 503), up to `TIMEOUT_SECONDS`.

        A write whose outcome the API does not know is not repeated: a POST could be done twice.

        Raises:
            FailedError: when no connection is had or a method answers what is not JSON.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            answer = self._send(method, path, body, query or {})
            repeatable = method == "GET" or not answer.unknown
            if answer.status not in UNDONE or not repeatable or time.monotonic() + answer.retry_after > deadline:
                return answer
            time.sleep(answer.retry_after)

    def once(self, method: str, path: str, body: Any = None, query: Mapping[str, str | int] | None = None) -> Answer:
        """One request that is not tried again, whatever the answer."""
        return self._send(method, path, body, query or {})

    def _send(self, method: str, path: str, body: Any, query: Mapping[str, str | int]) -> Answer:
        url = self._target.api_url + path + (f"?{urlencode(query)}" if query else "")
        data = b"" if body is None else json.dumps(body).encode()
        request = AWSRequest(method=method, url=url, data=data, headers={"Content-Type": "application/json"})
        if self._target.api_auth == "AWS_IAM":
            self._sign(request)
        response = self._http.send(request.prepare())
        return Answer(response.status_code, _parsed(response.text, url), _seconds(response.headers.get("Retry-After")))

    def _sign(self, request: AWSRequest) -> None:
        credentials = self._boto.get_credentials()
        if credentials is None:
            raise FailedError("no AWS credentials are configured", "Set AWS_PROFILE, or log in.")
        SigV4Auth(credentials, "execute-api", self._target.region).add_auth(request)


def path(*parts: str) -> str:
    """A path of parts, each escaped: `path("dynamo", "chefs", "a/b")` is `/dynamo/chefs/a%2Fb`."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _parsed(text: str, url: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise FailedError(f"{url} answered what is not JSON: {text[:TEXT_SHOWN]}") from error


def _seconds(value: str | None) -> float:
    try:
        return min(max(float(value or 1), 0.2), 10.0)
    except ValueError:
        return 1.0
