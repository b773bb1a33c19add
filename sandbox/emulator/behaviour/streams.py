"""The streams that one table has one after the other, where it was disabled and enabled.

AWS promises no order between the sequence numbers of two streams. In MiniStack a later stream happens to have higher
numbers, so a program that compared them would pass. Here a later stream has lower ones. MiniStack also reports the
table's creation as each stream's. This file can go when it does neither.
"""
# pyright: basic

import json
from datetime import UTC, datetime
from typing import Any, cast

from ministack.services import dynamodb, dynamodb_streams

from sandbox.emulator.patching import check_version, wrap

tables, streams = cast("Any", dynamodb), cast("Any", dynamodb_streams)  # MiniStack has no types
FAR = 10**13  # milliseconds since 1970, later than any stream


def install() -> None:
    check_version("behaviour/streams")
    wrap(tables, "_build_change_record", _numbered)
    wrap(streams, "_describe_stream", _dated)


def _numbered(stock: Any) -> Any:
    def build(table: dict[str, Any], *arguments: Any) -> dict[str, Any]:
        record = stock(table, *arguments)
        began, data = _began(table.get("LatestStreamLabel", "")), record["dynamodb"]
        if began:
            # MiniStack's own number ends with ten digits that grow with each record.
            data["SequenceNumber"] = f"{FAR - int(began.timestamp() * 1000):020d}{data['SequenceNumber'][-10:]}"
        return record

    return build


def _dated(stock: Any) -> Any:
    def describe(data: dict[str, Any]) -> Any:
        status, headers, body = stock(data)
        document = json.loads(body)
        found = document.get("StreamDescription")
        if found and (began := _began(found["StreamLabel"])):
            found["CreationRequestDateTime"] = began.timestamp()
        return status, headers, json.dumps(document).encode()

    return describe


def _began(label: str) -> datetime | None:
    """When a stream was enabled, by its label; None for no label."""
    return datetime.fromisoformat(label).replace(tzinfo=UTC) if label else None
