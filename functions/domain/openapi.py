"""The HTTP contract as an OpenAPI 3.0 document: for API Gateway, for clients, and for tests that are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from functions.domain.entities import Entity
from functions.domain.values import Field

VERSION = "3.0.1"  # what API Gateway imports
SIGNATURE = {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"}
SECURITY = {"AWS_IAM": {"sigv4": SIGNATURE}, "NONE": {}}
KEY: Mapping[str, Any] = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
REQUEST_ID: Mapping[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Requests with the same key take effect once.",
    "schema": {"type": "string"},
}
PAGING: tuple[Mapping[str, Any], ...] = (
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}},
    {"name": "cursor", "in": "query", "description": "From the page before.", "schema": {"type": "string"}},
)
PROBLEMS: Mapping[str, str] = {
    "400": "The request, or a value in it, is not valid.",
    "403": "The legacy system is read-only: the entity has moved.",
    "404": "There is no such record.",
    "409": "The id, or a value that must be unique, exists.",
    "413": "The record is larger than 400 KB.",
    "422": "The stored record does not fit the mapping.",
    "503": "The service cannot answer now; `outcome` says whether anything was written.",
}
SUCCESS: Mapping[str, tuple[str, str]] = {
    "GET": ("200", "The record."),
    "POST": ("201", "The record was created."),
    "PUT": ("200", "The record was replaced."),
    "DELETE": ("204", "The record was deleted."),
}
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "GET": ("404", "422", "503"),
    "POST": ("400", "403", "409", "413", "503"),
    "PUT": ("400", "403", "404", "409", "413", "422", "503"),
    "DELETE": ("400", "403", "404", "503"),
}
LIST_ANSWERS = ("400", "503")
ITEM = "/{id}"
TYPES: Mapping[str, Mapping[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "decimal": {"type": "string", "format": "decimal"},
    "boolean": {"type": "boolean"},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "bytes": {"type": "string", "format": "byte"},
    "json": {},
}


def document(paths: Mapping[str, Mapping[str, Any]], auth: str, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """A whole document.

    Args:
        paths: by path, operations by method in lower case.
        auth: `AWS_IAM` or `NONE`, for every operation.
        schemas: by name, those that the operations refer to.
    """
    schemes = SECURITY[auth]
    components = {"securitySchemes": schemes, "schemas": schemas}
    return {
        "openapi": VERSION,
        "info": {"title": "streamback", "version": "1", "description": "One contract for both systems."},
        "paths": {path: dict(operations) for path, operations in paths.items()},
        **({"security": [{name: []} for name in schemes]} if schemes else {}),
        "components": {name: dict(value) for name, value in components.items() if value},
    }


def contract(entities: Mapping[str, Entity], auth: str, url: str) -> dict[str, Any]:
    """What clients see, with the shape of every record; `url` is the stage's."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Problem": _problem()} if entities else {}
    for name, entity in entities.items():
        paths |= _paths(name)
        schemas |= _schemas(entity)
    return {**document(paths, auth, schemas), "servers": [{"url": url}]}


def parameters(path: str) -> list[dict[str, Any]]:
    """What a path has in braces."""
    return [dict(KEY)] if path.endswith(ITEM) else []


def success(method: str) -> dict[str, dict[str, Any]]:
    """The answer to a request that was carried out."""
    status, description = SUCCESS[method]
    return {status: {"description": description}}


def _paths(name: str) -> dict[str, Any]:
    collection, item = f"/{name}", f"/{name}{ITEM}"
    return {
        collection: {"get": _list(name), "post": _operation(name, "POST", collection)},
        item: {method.lower(): _operation(name, method, item) for method in ("GET", "PUT", "DELETE")},
    }


def _list(name: str) -> dict[str, Any]:
    page = {"200": {"description": "A page of records.", "content": _content(f"{name}Page")}}
    return {
        "operationId": f"{name}List",
        "tags": [name],
        "parameters": [dict(each) for each in PAGING],
        "responses": page | _problems(LIST_ANSWERS),
    }


def _operation(name: str, method: str, path: str) -> dict[str, Any]:
    answers = success(method)
    if method != "DELETE":
        answers = {status: {**answer, "content": _content(name)} for status, answer in answers.items()}
    idempotency = [] if method == "GET" else [dict(REQUEST_ID)]
    body = {"required": True, "content": _content(f"{name}{'New' if method == 'POST' else 'Replacement'}")}
    return {
        "operationId": f"{name}{method.capitalize()}",
        "tags": [name],
        "parameters": [*parameters(path), *idempotency],
        **({"requestBody": body} if method in {"POST", "PUT"} else {}),
        "responses": answers | _problems(ANSWERS[method]),
    }


def _problems(statuses: tuple[str, ...]) -> dict[str, Any]:
    return {status: {"description": PROBLEMS[status], "content": _content("Problem")} for status in statuses}


def _content(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "required": ["message"],  # all that API Gateway itself answers
        "properties": {"error": text, "message": text, "field": text, "outcome": text},
    }


def _schemas(entity: Entity) -> dict[str, Any]:
    """A record as it is answered, a page of them, and what POST and PUT take."""
    fields = {name: _schema(field) for name, field in entity.fields.items()}
    named = {"id": {"type": "string"}, **fields}
    natural = entity.legacy.key_type == "string"
    needed = [name for name, field in entity.fields.items() if field.required and field.default is None]
    ids = {"type": "array", "items": {"type": "string"}}
    records = {"type": "array", "items": {"$ref": f"#/components/schemas/{entity.name}"}}
    cursor = {"type": "string", "nullable": True}
    return {
        entity.name: _object(named, list(named)),
        f"{entity.name}Page": _object(
            {"items": records, "cursor": cursor, "unrepresentable": ids}, ["items", "cursor"]
        ),
        f"{entity.name}New": {**_object(named if natural else fields, needed), "additionalProperties": False},
        f"{entity.name}Replacement": {**_object(named, needed), "additionalProperties": False},
    }


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", **({"required": required} if required else {}), "properties": dict(properties)}


def _schema(field: Field) -> dict[str, Any]:
    return {**TYPES[field.type], **_limits(field), **({} if field.required else {"nullable": True})}


def _limits(field: Field) -> dict[str, Any]:
    if field.type == "integer":
        lowest, highest = field.whole_numbers
        return {"minimum": lowest, "maximum": highest}
    if field.choices:
        return {"enum": [*field.choices, *([] if field.required else [None])]}
    return {"maxLength": field.max_length} if field.type == "string" and field.max_length else {}
