"""DynamoDB and the Data API as the JSON that they speak, past boto3's own reading and writing of each value.

boto3 checks, writes and reads a request by the service's model, one attribute of one item after the other. That takes
longer than the request itself. What callers give and get is the same JSON, except that bytes are base64 in it. So the
requests that carry records are written and read by `json` alone. Signing, retries and errors stay boto3's.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from botocore.exceptions import ParamValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3

UNCHECKED = Config(parameter_validation=False)
ITEM_CALLS = frozenset(
    {
        "BatchGetItem",
        "BatchWriteItem",
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "TransactGetItems",
        "TransactWriteItems",
        "UpdateItem",
    }
)
SERVICES: Mapping[str, frozenset[str]] = {
    "dynamodb": ITEM_CALLS,
    "rds-data": frozenset({"BatchExecuteStatement", "ExecuteStatement"}),
}
PROTOCOLS = frozenset({"json", "rest-json"})
BYTES = frozenset({"B", "blobValue"})  # names of a value that is base64
MANY_BYTES = "BS"  # of a list of them
SIGNS = tuple(f'"{name}"'.encode() for name in (*BYTES, MANY_BYTES))
ASIDE = "streamback_aside"  # in a request's context
TABLES = "RequestItems"  # a parameter: tables by name
FAILED = 300  # the lowest HTTP status of an answer that has no records


def client(session: boto3.Session, service: str, config: Config, **options: Any) -> Any:
    """A boto3 client whose requests with records are written and read as plain JSON; of other services, boto3's own.

    Of the parameters it checks the names alone, since AWS ignores one that it does not know. What is missing or of
    another type, the service refuses.
    """
    if service not in SERVICES:
        return cast("Any", session).client(service, config=config, **options)
    made = cast("Any", session).client(service, config=config.merge(UNCHECKED), **options)
    made.meta.events.register("before-parameter-build.*.*", _set_aside)
    made.meta.events.register("before-call.*.*", _write)
    made.meta.events.register("before-parse.*.*", _read)
    return made


def _is_plain(model: Any) -> bool:
    service = model.service_model
    protocol = getattr(service, "resolved_protocol", service.metadata["protocol"])
    return protocol in PROTOCOLS and model.name in SERVICES[service.service_name]


def _set_aside(params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
    """Leave boto3 what it chooses an endpoint by, and nothing else to write."""
    if _is_plain(model):
        if unknown := sorted(params.keys() - model.input_shape.members.keys()):
            raise ParamValidationError(report=f"{model.name} has no {', '.join(unknown)}")
        context[ASIDE] = params, dict(params)
        tables = params.get(TABLES)
        params.clear()
        if tables:
            params[TABLES] = {name: {} for name in tables}


def _write(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    """Write what was set aside, with what boto3 itself has added meanwhile, such as a token."""
    if ASIDE in context:
        given, aside = context.pop(ASIDE)
        given.update(aside)
        params["body"] = json.dumps({**json.loads(params["body"] or b"{}"), **aside}, default=base64_text).encode()


def _read(
    operation_model: Any, response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    if not _is_plain(operation_model) or response_dict["status_code"] >= FAILED:
        return
    body = response_dict["body"]
    if body:
        hook = with_bytes if any(sign in body for sign in SIGNS) else None
        customized_response_dict.update(json.loads(body, object_hook=hook))
        response_dict["body"] = b"{}"


def base64_text(value: bytes) -> str:
    """Bytes as JSON has them."""
    return base64.b64encode(value).decode()


def with_bytes(found: dict[str, Any]) -> dict[str, Any]:
    """A value of bytes has one name; an attribute or field of that name has another object behind it."""
    if len(found) == 1:
        name, value = next(iter(found.items()))
        if name in BYTES and isinstance(value, str):
            return {name: base64.b64decode(value)}
        if name == MANY_BYTES and isinstance(value, list):
            return {name: [base64.b64decode(each) for each in cast("list[str]", value)]}
    return found
