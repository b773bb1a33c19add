"""Stream records of dishes, as the bench has them applied: what each round's records do, and which rows they need."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

REST = 100  # bytes of a dish beside its notes, so that one of 1 KB is one write unit
HOT_KEYS = 100  # among which hot updates are drawn
MIX = (0.35, 0.80)  # shares up to which a record is an insert, and an update; the rest are deletes
SIZES = {"100 B": 100, "1 KB": 1000, "30 KB": 30_000}

Record = dict[str, Any]  # of the stream


class Records:
    """Stream records of dishes of one size, with sequence numbers that only grow."""

    def __init__(self, size: int) -> None:
        self._notes = "n" * max(1, size - REST)
        self._numbers = itertools.count(10**24)
        self._prefix = uuid.uuid4().hex[:12]

    def keys(self, count: int) -> list[str]:
        """Keys that no record had before."""
        return [f"{self._prefix}-{next(self._numbers)}" for _ in range(count)]

    def of(self, key: str, event: str) -> Record:
        keys = {"DishId": {"S": key}}
        number = next(self._numbers)
        image = {**keys, "label": {"S": f"dish {number}"[-50:]}, "notes": {"S": self._notes}}
        images = {"OldImage": image} if event == "REMOVE" else {"NewImage": image}
        data = {"Keys": keys, "SequenceNumber": str(number), **images}
        return {"eventName": event, "eventSource": "aws:dynamodb", "dynamodb": data}

    def inserts(self, keys: Sequence[str]) -> list[Record]:
        return [self.of(key, "INSERT") for key in keys]


@dataclass(frozen=True)
class Work:
    """The records of one round of a variant, and inserts of the rows that must be there before."""

    records: Sequence[Record]
    before: Sequence[Record] = ()


def inserts(records: Records, count: int) -> Work:
    return Work(records.inserts(records.keys(count)))


def hot_updates(records: Records, count: int) -> Work:
    """Several updates of each of a few keys."""
    keys = records.keys(min(HOT_KEYS, count))
    before = records.inserts(keys)
    return Work([records.of(keys[number % len(keys)], "MODIFY") for number in range(count)], before)


def deletes(records: Records, count: int) -> Work:
    before = records.inserts(records.keys(count))
    return Work([records.of(each["dynamodb"]["Keys"]["DishId"]["S"], "REMOVE") for each in before], before)


def mix(records: Records, count: int) -> Work:
    """Inserts, updates and deletes, each of a key of its own."""
    keys = records.keys(count)
    first, second = (round(share * count) for share in MIX)
    kinds = ["INSERT"] * first + ["MODIFY"] * (second - first) + ["REMOVE"] * (count - second)
    before, pairs = records.inserts(keys[first:]), list(zip(keys, kinds, strict=True))
    random.Random(count).shuffle(pairs)  # noqa: S311  # the same order in each round
    return Work([records.of(key, kind) for key, kind in pairs], before)


OPERATIONS = {"inserts": inserts, "hot updates": hot_updates, "deletes": deletes, "mix": mix}
