"""Filters of stream mappings on attributes that are not there.

On AWS `{"exists": false}` on a leaf matches a record that lacks the leaf or what is above it, and `anything-but` takes
only what is there. In MiniStack a missing attribute fails the whole pattern, and `anything-but` matches a missing leaf.
This file can go when it follows AWS in both.
"""
# pyright: basic

from typing import Any

from ministack.services import lambda_svc as functions

from sandbox.emulator.patching import check_version, wrap


def install() -> None:
    check_version("behaviour/filters")
    wrap(functions, "_match_esm_filter", _matching)


def _matching(stock: Any) -> Any:
    def match(record: dict[str, Any], pattern: dict[str, Any]) -> bool:
        return all(_fits(stock, record, name, wanted) for name, wanted in pattern.items())

    return match


def _fits(stock: Any, record: dict[str, Any], name: str, wanted: Any) -> bool:
    found = record.get(name)
    if isinstance(wanted, dict):
        inside = found if isinstance(found, dict) else {}
        return all(_fits(stock, inside, inner, pattern) for inner, pattern in wanted.items())
    if name not in record and isinstance(wanted, list):
        return {"exists": False} in wanted
    return stock({name: found} if name in record else {}, {name: wanted})
