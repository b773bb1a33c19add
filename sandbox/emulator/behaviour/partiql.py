"""PartiQL statements in the stream.

On AWS a PartiQL statement that writes gives a stream record, as any other write. MiniStack writes the item alone. Only
single statements are completed here, and not ExecuteTransaction. This file can go when MiniStack writes the records.
"""
# pyright: basic

import copy
from typing import Any, cast

from ministack.services import dynamodb as service

from sandbox.emulator.patching import check_version, wrap

dynamodb = cast("Any", service)  # MiniStack has no types


def install() -> None:
    check_version("behaviour/partiql")
    wrap(dynamodb, "_execute_statement", _recorded)


def _recorded(stock: Any) -> Any:
    def execute(data: dict[str, Any]) -> Any:
        place = _place(data)
        before = copy.deepcopy(_item(place)) if place else None
        answer = stock(data)
        after = copy.deepcopy(_item(place)) if place else None
        if place and before != after:
            event = "REMOVE" if after is None else "MODIFY" if before else "INSERT"
            dynamodb._emit_stream_event(place[0], event, before, after)
        return answer

    return execute


def _place(data: dict[str, Any]) -> tuple[str, Any, Any] | None:
    """Table and key that a statement writes; None for any other, and for one that stock refuses."""
    try:
        parsed: Any = dynamodb._parse_partiql(data.get("Statement", ""), data.get("Parameters", []))
    except ValueError:
        return None
    table: Any = dynamodb._tables.get(parsed["table"])
    if not table or parsed["op"] not in {"INSERT", "UPDATE", "DELETE"}:
        return None
    if parsed["op"] == "INSERT":
        item = parsed.get("item", {})
        item = item["M"] if set(item) == {"M"} else item
        names = table["pk_name"], table["sk_name"]
        partition, sort = (dynamodb._extract_key_val(item.get(name)) if name else "__no_sort__" for name in names)
    else:
        partition, sort, _, refused = dynamodb._partiql_key_target(table, parsed)
        if refused:
            return None
    return parsed["table"], partition, sort


def _item(place: tuple[str, Any, Any]) -> dict[str, Any] | None:
    name, partition, sort = place
    tables: Any = dynamodb._tables
    return tables.get(name)["items"].get(partition, {}).get(sort)
