"""The smoke test of streamback's own API: creates, lists, updates and deletes records on both systems."""

import base64
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from functions.aws.retry import poll
from functions.domain.entities import Entity
from functions.domain.mapping import Record, body_from_record, fields_from_body
from functions.domain.phase import Phase
from functions.domain.values import Field
from runbook.aws.http import Answer, path
from runbook.errors import FailedError
from runbook.smoke.run import BRIDGE_TIMEOUT_SECONDS, PlannedStep, SmokeRun

PAGE = 1000
PAGES = 10  # pages of a listing that are looked through; past them a record is asked for by its id
CREATED, NO_CONTENT, OK, NOT_FOUND, UNAVAILABLE = 201, 204, 200, 404, 503
FIRST, SECOND, UPDATED = ("Alton", "Brown"), ("Bobby", "Flay"), ("Roberto", "Flay")  # the article's names, for text
BYTES = b"smoke"
SAMPLES: Mapping[str, Any] = {
    "integer": 7,
    "decimal": "0",  # fits any precision and scale
    "boolean": True,
    "datetime": "2020-02-29T12:34:56.000000Z",
    "date": "2020-02-29",
    "bytes": base64.b64encode(BYTES).decode(),
    "json": {"smoke": [1, None, "é"]},
}


@dataclass
class Smoke(SmokeRun):
    """Of an entity that streamback's own API serves."""

    def _plan(self) -> list[PlannedStep]:
        name = self.entity.name
        modern: list[PlannedStep] = [
            (f"GET /dynamo/{name} answers a list", "modern", lambda: self._lists("dynamo")),
            (f"POST /dynamo/{name} adds an item", "modern", lambda: self._creates("dynamo", SECOND)),
            (f"GET /dynamo/{name} shows it", "modern", lambda: self._shows("dynamo")),
        ]
        if self._phase == Phase.COMPLETE:  # no bridge, and a legacy table that is not updated
            return modern
        if self._fenced:
            legacy = [(f"POST /aurora/{name} is refused: the fence is up", "legacy", self._is_refused)]
        else:
            legacy = [
                (f"POST /aurora/{name} inserts a row", "legacy", lambda: self._creates("aurora", FIRST)),
                (f"GET /aurora/{name} shows it", "legacy", lambda: self._shows("aurora")),
            ]
        both = "it" if self._fenced else "both"
        return [
            ("GET /aurora initialises the database", "legacy", self._initialise),
            (f"GET /aurora/{name} answers a list", "legacy", lambda: self._lists("aurora")),
            *legacy,
            *modern,
            (f"GET /aurora/{name} shows {both}: the bridge wrote it back", "bridge", self._bridged),
            (f"PUT /dynamo/{name}/… comes through the bridge", "bridge", self._updates),
            (f"DELETE /dynamo/{name}/… comes through the bridge", "bridge", self._deletes),
        ]

    def _is_refused(self) -> str:
        answer = self.context.api.once("POST", path("aurora", self.entity.name), sample(self._described, FIRST))
        if answer.status == CREATED:
            self.created.append(("aurora", str(answer.body["id"])))
        return _expect(answer, UNAVAILABLE)

    def _initialise(self) -> str:
        return _expect(self.context.api.get("/aurora"), OK)

    def _lists(self, system: str) -> str:
        answer = self.context.api.get(path(system, self.entity.name), limit=PAGE)
        _expect(answer, OK)
        count = len(_items(answer))
        return "an empty list" if count == 0 else f"{count}{'+' if answer.body.get('cursor') else ''} records"

    def _creates(self, system: str, words: tuple[str, ...]) -> str:
        entity = self._described
        body = sample(entity, words)
        if entity.legacy.key_type == "string":
            body["id"] = f"smoke-{uuid.uuid4().hex[:12]}"
        answer = self.context.api.request("POST", path(system, self.entity.name), body)
        _expect(answer, CREATED)
        self.created.append((system, str(answer.body["id"])))
        _same(answer, answer_to(entity, self._own(system), body))
        return f"record {self._own(system)}, {' '.join(words)}"

    def _shows(self, system: str) -> str:
        identity = self._own(system)
        found = self._find(system, identity)
        if found is None:
            raise FailedError(f"record {identity} is not in the list")
        return f"record {identity} is there"

    def _bridged(self) -> str:
        self._demand_connected()
        identity, expected = self._own("dynamo"), self._item("dynamo").body
        seconds = self._until(lambda: self._item("aurora", identity).body == expected, f"{identity} in Aurora")
        if not self._fenced:
            self._shows("aurora")
        if self._find("aurora", identity) is None:
            raise FailedError(f"record {identity} came through the bridge but is not in the list")
        return f"{'it is' if self._fenced else 'both are'} there, after {seconds:.1f} s"

    def _updates(self) -> str:
        identity = self._own("dynamo")
        entity = self._described
        body = sample(entity, UPDATED)
        answer = self.context.api.request("PUT", path("dynamo", self.entity.name, identity), body)
        _expect(answer, OK)
        _same(answer, answer_to(entity, identity, body))
        seconds = self._until(lambda: self._item("aurora", identity).body == answer.body, "the update in Aurora")
        return f"after {seconds:.1f} s"

    def _deletes(self) -> str:
        identity = self._own("dynamo")
        answer = self.context.api.request("DELETE", path("dynamo", self.entity.name, identity))
        _expect(answer, NO_CONTENT)
        seconds = self._until(lambda: self._item("aurora", identity).status == NOT_FOUND, "the deletion in Aurora")
        return f"after {seconds:.1f} s"

    def _own(self, system: str) -> str:
        return next(identity for owner, identity in self.created if owner == system)

    def _item(self, system: str, identity: str | None = None) -> Answer:
        return self.context.api.get(path(system, self.entity.name, identity or self._own(system)))

    def _find(self, system: str, identity: str) -> Mapping[str, Any] | None:
        """The record in the listing; in one too long to look through, the record by its id."""
        query: dict[str, str | int] = {"limit": PAGE}
        for _ in range(PAGES):
            answer = self.context.api.get(path(system, self.entity.name), **query)
            _expect(answer, OK)
            for item in _items(answer):
                if item.get("id") == identity:
                    return item
            if not answer.body.get("cursor"):
                return None
            query["cursor"] = answer.body["cursor"]
        single = self._item(system, identity)
        return single.body if single.status == OK else None

    def _until(self, holds: Callable[[], bool], what: str) -> float:
        begun = time.monotonic()
        if not poll(holds, timeout=BRIDGE_TIMEOUT_SECONDS):
            raise FailedError(f"{what} did not arrive within {BRIDGE_TIMEOUT_SECONDS:.0f} s; run `runbook status`")
        return time.monotonic() - begun

    def _clean_up(self) -> None:
        """Remove the records of this run: the item first, so that the bridge cannot bring its row back."""
        for system, identity in sorted(self.created, reverse=True):
            if system == "dynamo":
                self._remove("dynamo", identity)
            self._remove("aurora", identity)

    def _remove(self, system: str, identity: str) -> None:
        if system == "aurora" and ("legacy" not in self.context.target.parts or self._fenced):
            return  # behind the fence the bridge removes the row
        answer = self.context.api.request("DELETE", path(system, self.entity.name, identity))
        if answer.status not in {NO_CONTENT, NOT_FOUND}:
            raise FailedError(
                f"the smoke test's record {identity} could not be removed from /{system}: {answer}",
                f"Remove it by hand: DELETE {path(system, self.entity.name, identity)}",
            )


def _expect(answer: Answer, status: int) -> str:
    if answer.status != status:
        raise FailedError(f"answered {answer}, expected {status}")
    return f"answered {status}"


def _same(answer: Answer, expected: Mapping[str, Any]) -> None:
    if answer.body != expected:
        raise FailedError(f"answered {answer}, expected {Answer(answer.status, expected)}")


def _items(answer: Answer) -> list[Mapping[str, Any]]:
    items = answer.body.get("items") if isinstance(answer.body, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # JSON
    if not isinstance(items, list):
        raise FailedError(f"answered no list: {answer}")
    return items  # pyright: ignore[reportUnknownVariableType]  # JSON


def sample(entity: Entity, words: tuple[str, ...]) -> dict[str, Any]:
    """A request body with every field of the entity; text fields take the words in turn."""
    texts = [field.name for field in entity.fields.values() if field.type == "string"]
    turn = {name: words[number % len(words)] for number, name in enumerate(texts)}
    return {name: _value(field, turn.get(name, "")) for name, field in entity.fields.items()}


def _value(field: Field, word: str) -> Any:
    if field.choices:
        return field.choices[0]
    if field.type == "string":
        return word[: field.max_length]
    if field.type == "bytes" and field.max_length:
        size = field.max_length if field.fixed else min(field.max_length, len(BYTES))
        return base64.b64encode(BYTES.ljust(size, b"e")[:size]).decode()
    return SAMPLES[field.type]


def answer_to(entity: Entity, identity: str, sent: Mapping[str, Any]) -> dict[str, Any]:
    """What the API must answer to a body that was stored under `identity`."""
    fields = {name: value for name, value in sent.items() if name != "id"}
    return body_from_record(entity, Record(identity, fields_from_body(entity, fields)))
