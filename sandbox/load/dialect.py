"""How a load's clients speak to an API: streamback's own contract, or one that entities.toml describes.

Answers of a foreign contract become those that streamback's own API would give, so that one history judges both.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import quote, urlencode

from functions.domain import contract
from functions.domain.contract import SUCCESSES, Call
from functions.domain.entities import Entity
from runbook.smoke.own import sample
from sandbox.load.client import Answer
from sandbox.load.records import DELETE, GET, LIST, POST, PUT, UNAVAILABLE

CALLS = {POST: "create", PUT: "update", DELETE: "delete", GET: "read", LIST: "list"}
SUCCESS = {POST: 201, PUT: 200, DELETE: 204, GET: 200, LIST: 200}
NOT_FOUND, FAILED = 404, 500
WORDS = ("load",)  # in the text fields that the load does not write


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One request; `key` is the record's, where the client knows it."""

    method: str
    path: str
    query: str = ""
    body: Any = None
    key: str = ""


class Dialect(Protocol):
    """What a client says for an attempt, and how it understands the answer."""

    def request(self, kind: str, key: str, body: Any, limit: int) -> Sent: ...

    def answer(self, kind: str, key: str, answer: Answer) -> Answer:
        """The answer as streamback's own API would give it."""
        ...


@dataclass(frozen=True)
class OwnDialect:
    """streamback's own contract."""

    entity: str

    def request(self, kind: str, key: str, body: Any, limit: int) -> Sent:
        path = f"/{self.entity}" + (f"/{quote(key, safe='')}" if key else "")
        query = f"limit={limit}" if kind == LIST else ""
        return Sent(method=GET if kind == LIST else kind, path=path, query=query, body=body, key=key)

    def answer(self, kind: str, key: str, answer: Answer) -> Answer:
        del kind, key
        return answer


@dataclass(frozen=True)
class ForeignDialect:
    """The contract of `[entity.api]`, by the templates in `[entity.calls]`.

    Args:
        record: the JSON pointer to the record, or the list of records, in the answer of a read.
    """

    entity: Entity
    record: str = "/data"

    def request(self, kind: str, key: str, body: Any, limit: int) -> Sent:
        del limit  # the template of a list has its own
        key = key or (str(uuid.uuid4()) if kind == POST else "")
        event = self._call(kind).event({**sample(self.entity, WORDS), **(body or {}), "id": key})
        query: dict[str, str] = event["queryStringParameters"] or {}
        return Sent(
            method=event["httpMethod"],
            path=event["path"],
            query=urlencode(sorted(query.items()), quote_via=quote),
            body=json.loads(event["body"]) if event["body"] else None,
            key=key,
        )

    def answer(self, kind: str, key: str, answer: Answer) -> Answer:
        if answer.status in {UNAVAILABLE, NOT_FOUND}:  # the gate's own answer, and what a history judges itself
            return answer
        text = json.dumps(answer.body)
        success = self._call(kind).success
        if problem := success.problem({"statusCode": answer.status, "body": text}):
            status = FAILED if answer.status in SUCCESSES else answer.status
            said = contract.found(text, success.absent) if success.absent else None
            message = f"{success.absent}: {said}" if said is not None else problem
            return Answer(status, {"message": message}, answer.retry_after)
        return Answer(SUCCESS[kind], self._understood(kind, key, text), answer.retry_after)

    def _understood(self, kind: str, key: str, text: str) -> Mapping[str, Any]:
        found: Any = contract.found(text, self.record)
        if kind == LIST:
            return {"items": cast("list[Any]", found)}
        if kind == POST:
            return {"id": contract.found(text, self._call(kind).key) if self._call(kind).key else key}
        return found

    def _call(self, kind: str) -> Call:
        assert self.entity.contract, "an entity with an API of its own"
        return self.entity.contract.calls[CALLS[kind]]
