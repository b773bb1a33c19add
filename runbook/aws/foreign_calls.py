"""Calls to adopted functions by the templates of entities.toml, as API Gateway would make them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.domain import contract
from functions.domain.contract import READING, ApiContract, Call
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


@dataclass(frozen=True)
class ForeignCalls:
    """The functions of one entity; its contract says how they are called.

    Args:
        functions: boto3's `lambda`, which must not repeat calls by itself: a create could be done twice.
    """

    functions: LambdaClient
    entity: EntityTarget
    contract: ApiContract

    def find(self, name: str) -> Call | None:
        """The template called so, if entities.toml has it."""
        return self.contract.calls.get(name)

    def send(self, system: str, name: str, values: Mapping[str, Any]) -> str:
        """Make a call to the function of one system; the body of its answer.

        Args:
            values: what the template names.

        Raises:
            FailedError: the function failed, or its answer is no success by the template.
        """
        call = self.contract.calls[name]
        function = self._function(system, call)
        reply = self.functions.invoke(FunctionName=function, Payload=json.dumps(call.event(values)).encode())
        text = reply["Payload"].read().decode() or "null"
        if reply.get("FunctionError"):
            raise FailedError(f"{function} failed at {call.operation}: {text}", "See its log group.")
        answer: Any = json.loads(text)
        if not isinstance(answer, Mapping):
            raise FailedError(f"{function} answered {text} to {call.operation}, which is no answer to API Gateway")
        if problem := call.success.problem(answer):  # pyright: ignore[reportUnknownArgumentType]  # JSON
            raise FailedError(f"{function} answered {call.operation} with {problem}")
        return str(answer.get("body") or "")  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    def key(self, name: str, body: str) -> str:
        """The key in the answer of a create; empty where the template names no place."""
        pointer = self.contract.calls[name].key
        found = contract.found(body, pointer) if pointer else None
        return "" if found is None else str(found)

    def _function(self, system: str, call: Call) -> str:
        reads = call.operation.method in READING
        if system == "legacy":
            return self.entity.legacy_read_function if reads else self.entity.legacy_write_function
        return self.entity.read_function if reads else self.entity.write_function
