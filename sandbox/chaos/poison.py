"""A record that can never be applied: written past the API, found in quarantine, corrected, and replayed or dropped."""

import json
import random
from typing import Any

from functions.aws.retry import poll
from sandbox.chaos.commands import Runbook
from sandbox.chaos.foreign import other_fields
from sandbox.chaos.system import Arena
from sandbox.load import Shape

ROOM = 400  # characters; the column takes 255
TIMEOUT = 60.0  # seconds until it is in quarantine
POLL = 0.5  # seconds


class Poison:
    """One such record, with the story of its cure."""

    def __init__(self, arena: Arena, runbook: Runbook, shape: Shape, rng: random.Random) -> None:
        self._arena = arena
        self._runbook = runbook
        self._shape = shape
        self._key = f"poison-{rng.randrange(10**6)}"
        self._drops = rng.random() < 0.5  # noqa: PLR2004  # every second

    def cure(self) -> dict[str, str]:
        """The whole story; returns key and value of what is there in the end.

        Raises:
            TimeoutError: it never came to quarantine, or did not leave it.
        """
        self._put("x" * ROOM)
        self._arena.note(f"  fault: a poison record {self._key} in DynamoDB")
        self._wait(quarantined=True)
        value = f"cured-{self._key}"
        self._put(value)
        word = "drop" if self._drops else "replay"
        if self._quarantined():  # unless what is corrected came over the stream before
            self._runbook.until_done(("quarantine", word, self._key, "--entity", self._arena.name, "--execute"))
        self._wait(quarantined=False)
        self._arena.note(f"  the poison record is corrected, and gone from quarantine ({word})")
        return {self._key: value}

    def _put(self, value: str) -> None:
        entity = self._arena.entity
        item: dict[str, Any] = other_fields.attributes(entity, self._shape)
        item |= {name: {"S": text} for name, text in self._shape.body(value).items()}
        item[entity.modern.key] = {"S": self._key}
        self._arena.clients.dynamodb.put_item(TableName=self._arena.deployed.modern_table, Item=item)

    def _wait(self, *, quarantined: bool) -> None:
        if not poll(lambda: self._quarantined() == quarantined, timeout=TIMEOUT, first=POLL, longest=POLL):
            raise TimeoutError(f"the record {self._key} is {'not ' if quarantined else ''}in quarantine")

    def _quarantined(self) -> bool:
        ended = self._runbook.once(("quarantine", "list", "--entity", self._arena.name, "--json"))
        return ended.code == 0 and self._key in json.dumps(json.loads(ended.out))
