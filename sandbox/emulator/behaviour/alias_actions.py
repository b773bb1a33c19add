"""The actions of IAM that calls on one alias of a function are checked as: GetAlias, UpdateAlias, DeleteAlias.

MiniStack checks each of them as ListAliases. This file can go when it does not.
"""
# pyright: basic

from typing import Any

from ministack.core import iam_actions

from sandbox.emulator.patching import check_version, wrap

ACTIONS = {"GET": "GetAlias", "PUT": "UpdateAlias", "DELETE": "DeleteAlias"}


def install() -> None:
    check_version("behaviour/alias_actions")
    wrap(iam_actions, "_lambda_action", _of_an_alias)


def _of_an_alias(stock: Any) -> Any:
    def action(method: str, path: str) -> str | None:
        parts = [part for part in path.split("/") if part]
        named = "functions" in parts and parts[parts.index("functions") + 2 :]
        of_one = named and named[0] == "aliases" and len(named) > 1
        return ACTIONS.get(method) if of_one else stock(method, path)

    return action
