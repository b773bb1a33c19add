"""A lean HTTP client with a connection of its own: it signs by hand, and never repeats a request by itself.

botocore's signer and urllib3 take longer than the API does in the sandbox, and hide retries that a history must show.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import hmac
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from runbook.aws.clients import Clients
from runbook.aws.outputs import Target

TIMEOUT = 35.0  # seconds; API Gateway itself times out after 29
ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Endpoint:
    """Where the API is, and as whom to call it.

    Args:
        url: of the stage, without a slash at its end.
        region: for the signature.
        key, secret, token: the credentials; without a key nothing is signed.
    """

    url: str
    region: str
    key: str = ""
    secret: str = ""
    token: str = ""

    @classmethod
    def of(cls, target: Target) -> Endpoint:
        """The deployed API of a target, with the credentials its operator has."""
        credentials = Clients(target).session.get_credentials() if target.api_auth == "AWS_IAM" else None
        if credentials is None:
            return cls(target.api_url, target.region)
        frozen = credentials.get_frozen_credentials()
        return cls(target.api_url, target.region, frozen.access_key or "", frozen.secret_key or "", frozen.token or "")


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
        self._base, self._host = parts.path, parts.netloc
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
        headers = self._headers(method, self._base + path, query, data)
        url = self._base + path + (f"?{query}" if query else "")
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

    def _headers(self, method: str, path: str, query: str, data: bytes) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json"}
        if not self._endpoint.key:
            return headers
        moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": self._host, "x-amz-date": moment}
        if self._endpoint.token:
            signed["x-amz-security-token"] = self._endpoint.token
        return {**headers, **signed, "Authorization": self._signature(method, path, query, data, signed)}

    def _signature(self, method: str, path: str, query: str, data: bytes, signed: Mapping[str, str]) -> str:
        """Signature Version 4; the path is escaped once more, as every service but S3 wants it."""
        moment, names = signed["x-amz-date"], ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        request = "\n".join((method, quote(path, safe="/~"), query, lines, names, hashlib.sha256(data).hexdigest()))
        scope = f"{moment[:8]}/{self._endpoint.region}/execute-api/aws4_request"
        text = "\n".join((ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
        key = _signing_key(self._endpoint.secret, moment[:8], self._endpoint.region)
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        return f"{ALGORITHM} Credential={self._endpoint.key}/{scope}, SignedHeaders={names}, Signature={signature}"


@functools.lru_cache(maxsize=4)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "execute-api", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


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
