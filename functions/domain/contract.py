"""The contract of an API that is not streamback's own: its reads and writes, and templates of calls to it.

A template names values of a record as `{field}`, and its key as `{id}`. A text that is nothing else becomes the value
itself, so that a number stays a number; in a longer text the value is written out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

from functions.domain.reader import Reader

OPERATION = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE) (/\S*)")
READING = frozenset({"GET", "HEAD"})
PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
POINTER = re.compile(r"(/[^/]+)+")
CHANGING = ("create", "update", "delete")
CALLS = ("list", "read", *CHANGING)
KEY = "id"  # the placeholder of the record's key
SUCCESSES = range(200, 300)


@dataclass(frozen=True, kw_only=True)
class ApiOperation:
    """One method of one path, as API Gateway names both: `/v2/orders/{orderId}`."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        """The names in its path, without the `+` of one that takes several parts."""
        return [name.removesuffix("+") for name in PLACEHOLDER.findall(self.path)]


@dataclass(frozen=True, kw_only=True)
class Success:
    """What makes an answer a success, beside a status of 200 to 299.

    Attributes:
        status: the statuses that do; none for all of 200 to 299.
        absent: a JSON pointer to what the body of a success does not have.
        without: a text that is not in the body of a success.
    """

    status: tuple[int, ...] = ()
    absent: str = ""
    without: str = ""

    def problem(self, answer: Mapping[str, Any]) -> str:
        """What is wrong with a function's answer to API Gateway; empty for a success."""
        status, body = int(answer.get("statusCode") or 0), str(answer.get("body") or "")
        if status not in (self.status or SUCCESSES):
            return f"{status} {body}".strip()
        if self.without and self.without in body:
            return f"{status}, and the body contains {self.without!r}"
        if self.absent and found(body, self.absent) is not None:
            return f"{status}, and the body has {self.absent}"
        return ""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A template of one request, and what makes its answer a success.

    Attributes:
        path: templates of the path's parameters, by name.
        body: a JSON template; None for a request without one.
        key: the JSON pointer to the record's key in the answer of a create; empty where the client chose it.
    """

    operation: ApiOperation
    path: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Any = None
    success: Success = field(default_factory=Success)
    key: str = ""

    @property
    def carried(self) -> frozenset[str]:
        """The names of the values that the request carries."""
        parts = (self.path, self.query, self.headers, self.body)
        return frozenset(name for part in parts for name in _placeholders(part))

    def event(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The event that API Gateway's proxy integration would make of the request.

        Args:
            values: the record's fields as JSON has them, and its key under `id`.
        """
        path = {name: str(filled(text, values)) for name, text in self.path.items()}
        query = {name: str(filled(text, values)) for name, text in self.query.items()}
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        headers |= {name: str(filled(text, values)) for name, text in self.headers.items()}
        place = PLACEHOLDER.sub(lambda part: quote(path[part[1].removesuffix("+")], safe=""), self.operation.path)
        return {
            "resource": self.operation.path,
            "path": place,
            "httpMethod": self.operation.method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": query or None,
            "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
            "pathParameters": path or None,
            "stageVariables": None,
            "requestContext": {"resourcePath": self.operation.path, "httpMethod": self.operation.method, "path": place},
            "body": None if self.body is None else json.dumps(filled(self.body, values), ensure_ascii=False),
            "isBase64Encoded": False,
        }


@dataclass(frozen=True, kw_only=True)
class ApiContract:
    """Which operations read an entity, which write it, and how to call some of them (by the names in CALLS)."""

    reads: tuple[ApiOperation, ...]
    writes: tuple[ApiOperation, ...]
    calls: Mapping[str, Call]

    def writes_by(self, method: str, resource: str) -> bool:
        return any(each.method == method and each.path == resource for each in self.writes)


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """The template with the values in place of their names."""
    if isinstance(template, Mapping):
        return {name: filled(each, values) for name, each in cast("Mapping[str, Any]", template).items()}
    if isinstance(template, list):
        return [filled(each, values) for each in cast("list[Any]", template)]
    if not isinstance(template, str):
        return template
    if whole := PLACEHOLDER.fullmatch(template):
        return values[whole[1]]
    return PLACEHOLDER.sub(lambda part: str(values[part[1]]), template)


def found(body: str, pointer: str) -> Any:
    """What a JSON pointer names in a body; None where there is nothing, or the body is not JSON."""
    try:
        value: Any = json.loads(body)
    except ValueError:
        return None
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdigit() and int(name) < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[int(name)]
        elif isinstance(value, Mapping):
            value = cast("Mapping[str, Any]", value).get(name)
        else:
            return None
    return value


def read(api: Reader, calls: Reader | None, fields: Collection[str]) -> ApiContract:
    """The contract of `[entity.api]` and `[entity.calls]`; mistakes go to the readers' problems.

    Args:
        fields: the entity's, which templates may name.
    """
    reads, writes = _operations(api, "reads"), _operations(api, "writes")
    api.close()
    for each in reads:
        if each in writes:
            api.problem("writes", f"{each} is among reads, too")
    if not writes:
        api.problem("writes", "names no operation, e.g. 'POST /v2/orders'")
    made = _calls(calls, (*reads, *writes), {KEY, *fields}) if calls else {}
    return ApiContract(reads=reads, writes=writes, calls=made)


def _operations(reader: Reader, key: str) -> tuple[ApiOperation, ...]:
    given: Any = reader.left.pop(key, [])
    items = cast("list[Any]", given) if isinstance(given, list) else [given]
    matched = [OPERATION.fullmatch(each) if isinstance(each, str) else None for each in items]
    for item, match in zip(items, matched, strict=True):
        if match is None:
            reader.problem(key, f"expected method and path such as 'GET /v2/orders/{{orderId}}', got {item!r}")
    operations = [ApiOperation(method=match[1], path=match[2]) for match in matched if match]
    if len(set(operations)) < len(operations):
        reader.problem(key, "names an operation twice")
    return tuple(operations)


def _calls(reader: Reader, known: Collection[ApiOperation], names: Collection[str]) -> dict[str, Call]:
    given = [name for name in CALLS if name in reader.left]
    made = {name: _call(name, reader.table(name), known, names) for name in given}
    reader.close()
    return {name: call for name, call in made.items() if call}


def _call(name: str, reader: Reader, known: Collection[ApiOperation], names: Collection[str]) -> Call | None:
    text = reader.left.pop("call", None)
    operation = next((each for each in known if str(each) == text), None)
    if operation is None:
        reader.problem("call", f"expected one of the operations in reads and writes, got {text!r}")
    elif name in {"list", "read"} and operation.method not in READING:
        reader.problem("call", f"expected a GET, got {text!r}")
    path, query, headers = (_texts(reader, key) for key in ("path", "query", "headers"))
    body = reader.left.pop("body", None)
    success = Success(
        status=_statuses(reader), absent=_pointer(reader, "absent"), without=str(reader.left.pop("without", ""))
    )
    key = _pointer(reader, "id")
    reader.close()
    if operation is None:
        return None
    path = _parameters(reader, operation, path)
    for place, part in (("path", path), ("query", query), ("headers", headers), ("body", body)):
        for unknown in sorted(set(_placeholders(part)) - set(names)):
            reader.problem(place, f"{{{unknown}}} is neither {{{KEY}}} nor a field")
        if name == "list" and set(_placeholders(part)) & set(names):
            reader.problem(
                place, "expected texts without a record's values, since a list is asked for without a record"
            )
    return Call(operation=operation, path=path, query=query, headers=headers, body=body, success=success, key=key)


def _parameters(reader: Reader, operation: ApiOperation, given: Mapping[str, str]) -> dict[str, str]:
    """A path's only parameter is the key, if nothing else is said."""
    names = operation.parameters
    path = dict(given) or ({names[0]: f"{{{KEY}}}"} if len(names) == 1 else {})
    if set(path) != set(names):
        reader.problem("path", f"expected a text for each of {', '.join(names) or 'no parameter'}")
        return dict.fromkeys(names, "")
    return path


def _texts(reader: Reader, key: str) -> dict[str, str]:
    given: Any = reader.left.pop(key, {})
    items: Mapping[str, Any] = cast("Any", given) if isinstance(given, Mapping) else {}
    if not isinstance(given, Mapping) or not all(isinstance(each, str) for each in items.values()):
        reader.problem(key, f"expected a table of texts, got {given!r}")
        return {}
    return dict(items)


def _statuses(reader: Reader) -> tuple[int, ...]:
    given: Any = reader.left.pop("status", [])
    items = cast("list[Any]", given) if isinstance(given, list) else [given]
    if not all(type(each) is int and each in range(100, 600) for each in items):
        reader.problem("status", f"expected HTTP statuses such as [200, 201], got {given!r}")
        return ()
    return tuple(items)


def _pointer(reader: Reader, key: str) -> str:
    given: Any = reader.left.pop(key, "")
    if given and not (isinstance(given, str) and POINTER.fullmatch(given)):
        reader.problem(key, f"expected a JSON pointer such as '/data/id', got {given!r}")
        return ""
    return str(given)


def _placeholders(template: Any) -> Iterator[str]:
    if isinstance(template, Mapping):
        for each in cast("Mapping[str, Any]", template).values():
            yield from _placeholders(each)
    elif isinstance(template, list):
        for each in cast("list[Any]", template):
            yield from _placeholders(each)
    elif isinstance(template, str):
        yield from PLACEHOLDER.findall(template)
