"""A lean HTTP client with a connection of its own, which never repeats a request by itself: a history shows retries."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from runbook.aws.clients import Clients
from runbook.aws.outputs import Target

TIMEOUT = 35.0  # seconds; API Gateway itself times out after 29


@dataclass(frozen=True)
class Endpoint:
    """Where the API is, and as whom to call it; without credentials no request is signed."""

    url: str
    region: str
    credentials: Sequence[Any] = ()  # access key, secret key, session token

    @classmethod
    def of(cls, target: Target) -> Endpoint:
        """The deployed API of a target, with the credentials its operator has."""
        found = Clients(target).session.get_credentials() if target.api_auth == "AWS_IAM" else None
        if found is None:
            return cls(target.api_url, target.region)
        frozen = found.get_frozen_credentials()
        return cls(target.api_url, target.region, (frozen.access_key, frozen.secret_key, frozen.token))


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `body` is the JSON document, None when there is none or it is not JSON."""

    status: int
    body: Any
    retry_after: float


class Client:
    """One connection, kept alive; for one thread."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        parts = urlsplit(endpoint.url)
        self._base, self._origin = parts.path, f"{parts.scheme}://{parts.netloc}"
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=TIMEOUT)

    def send(self, method: str, path: str, query: str = "", body: Any = None) -> Answer:
        """Send one request.

        Args:
            method: the verb.
            path: below the stage, escaped, with its slash.
            query: escaped and in alphabetical order.
            body: a JSON document.

        Raises:
            OSError: no answer came; the connection is new at the next call.
            http.client.HTTPException: likewise.
        """
        data = b"" if body is None else json.dumps(body).encode()
        url = self._base + path + (f"?{query}" if query else "")
        headers = self._headers(method, url, data)
        try:
            self._connection.request(method, url, data, headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        return Answer(response.status, _document(text), _seconds(response.getheader("Retry-After")))

    def close(self) -> None:
        """Let the connection go."""
        self._connection.close()

    def _headers(self, method: str, url: str, data: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if not self._endpoint.credentials:
            return headers
        request = AWSRequest(method=method, url=self._origin + url, data=data, headers=headers)
        SigV4Auth(Credentials(*self._endpoint.credentials), "execute-api", self._endpoint.region).add_auth(request)
        return dict(request.headers.items())


def _document(text: bytes) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _seconds(text: str | None) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 1.0
