"""Counts the calls to AWS that clients of this process make, and reckons what AWS asks for them.

List prices of us-east-1 in dollars, as of November 2026, without free tiers. They are for requests only: Lambda's time,
Aurora's capacity, storage and transfer come on top.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from functions.domain.mapping import item_size

MILLION = 1e6
DATA_API = 0.35 / MILLION  # a request of up to 32 KB, either way: https://aws.amazon.com/rds/aurora/pricing/
DATA_API_UNIT = 32 * 1024  # bytes; more are metered as further requests
WRITE_UNIT = 0.625 / MILLION  # on demand: https://aws.amazon.com/dynamodb/pricing/on-demand/
READ_UNIT = 0.125 / MILLION  # likewise
INVOCATION = 0.20 / MILLION  # https://aws.amazon.com/lambda/pricing/
SECRET_CALL = 0.05 / 10_000  # https://aws.amazon.com/secrets-manager/pricing/
S3_PUT = 0.005 / 1000  # https://aws.amazon.com/s3/pricing/
WRITE_BYTES, READ_BYTES = 1024, 4096  # of an item in one unit
TRANSACTED = 2  # times the units
METERED = "rds-data"
SERVICES = {
    METERED: "Data API",
    "dynamodb": "DynamoDB",
    "lambda": "Lambda",
    "s3": "S3",
    "secretsmanager": "Secrets Manager",
}
ITEM_READS = {"GetItem", "BatchGetItem", "Query", "Scan"}


@dataclass
class Calls:
    """What was called.

    Attributes:
        requests: by boto3's name of the service.
        metered: requests of the Data API as AWS meters them.
        write_units, read_units: of DynamoDB.
    """

    requests: Counter[str] = field(default_factory=Counter[str])
    metered: int = 0
    write_units: float = 0.0
    read_units: float = 0.0

    @property
    def dollars(self) -> float:
        return (
            self.metered * DATA_API
            + self.write_units * WRITE_UNIT
            + self.read_units * READ_UNIT
            + self.requests["lambda"] * INVOCATION
            + self.requests["secretsmanager"] * SECRET_CALL
            + self.requests["s3"] * S3_PUT
        )

    def note(self, service: str, operation: str, given: Mapping[str, Any], sizes: tuple[int, int], answer: Any) -> None:
        """Count one answered call.

        Args:
            service: boto3's name.
            operation: AWS's name.
            given: the call's parameters.
            sizes: bytes of the request and of the answer.
            answer: as boto3 returns it.
        """
        self.requests[service] += 1
        if service == METERED:
            self.metered += max(1, math.ceil(max(sizes) / DATA_API_UNIT))
        elif service == "dynamodb":
            self.write_units += _write_units(operation, given)
            self.read_units += _read_units(operation, given, answer)


@contextmanager
def counted(*clients: Any) -> Generator[Calls]:
    """Count what boto3 clients call in the block, each that is answered."""
    calls, lock = Calls(), threading.Lock()  # why: what is measured may call in several threads

    def before(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["given"] = params

    def sending(params: Mapping[str, Any], context: dict[str, Any], **_: Any) -> None:
        context["size"] = len(params.get("body") or b"")

    def after(http_response: Any, parsed: Any, model: Any, context: Mapping[str, Any], **_: Any) -> None:
        service = model.service_model.service_name
        answered = len(http_response.content) if service == METERED else 0  # a function's answer is read only once
        with lock:
            calls.note(service, model.name, context["given"], (context.get("size", 0), answered), parsed)

    hooks: Mapping[str, Any] = {"provide-client-params": before, "before-call": sending, "after-call": after}
    events = [client.meta.events for client in clients]
    for each in events:
        for name, hook in hooks.items():
            each.register(f"{name}.*.*", hook)
    try:
        yield calls
    finally:
        for each in events:
            for name, hook in hooks.items():
                each.unregister(f"{name}.*.*", hook)


def _write_units(operation: str, given: Mapping[str, Any]) -> float:
    if operation == "BatchWriteItem":
        requests = [each for some in given["RequestItems"].values() for each in some]
        return sum(_units(each.get("PutRequest", {}).get("Item"), WRITE_BYTES) for each in requests)
    if operation == "TransactWriteItems":
        actions = [each.get("Put", {}).get("Item") for each in given["TransactItems"]]
        return TRANSACTED * sum(_units(item, WRITE_BYTES) for item in actions)
    return _units(given.get("Item"), WRITE_BYTES) if operation in {"PutItem", "UpdateItem", "DeleteItem"} else 0


def _read_units(operation: str, given: Mapping[str, Any], answer: Any) -> float:
    """Of what was found; nothing found costs a unit, too."""
    if operation == "TransactGetItems":
        return TRANSACTED * sum(_units(each.get("Item"), READ_BYTES) for each in answer["Responses"])
    if operation not in ITEM_READS:
        return 0
    share = 1.0 if _is_consistent(given) else 0.5
    if operation in {"Scan", "Query"}:
        return share * max(1, math.ceil(sum(map(item_size, answer.get("Items", []))) / READ_BYTES))
    if operation == "GetItem":
        return share * _units(answer.get("Item"), READ_BYTES)
    found = [item for some in answer.get("Responses", {}).values() for item in some]
    asked = sum(len(each["Keys"]) for each in given["RequestItems"].values())
    return share * (sum(_units(item, READ_BYTES) for item in found) + asked - len(found))


def _is_consistent(given: Mapping[str, Any]) -> bool:
    tables = given.get("RequestItems", {})
    return bool(given.get("ConsistentRead")) or any(each.get("ConsistentRead") for each in tables.values())


def _units(item: Any, unit: int) -> int:
    """Units for an item; one where it is not known, as of a delete or of an update of a small record."""
    return max(1, math.ceil(item_size(item) / unit)) if item else 1
