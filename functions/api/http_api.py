"""The HTTP contract, one for both systems: routes, checks, paging, errors. A client cannot see which one answered."""

import base64
import contextlib
import json
import re  # PREFIXES is annotated with it
import time
import uuid
from collections.abc import (
    Callable,  # ERRORS is annotated with it
    Mapping,
)
from decimal import Decimal
from typing import Any, NoReturn, cast
from urllib.parse import quote, unquote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoRouteError

from functions.api.store import ConflictError, NotFoundError, Store, TooLargeError, UnavailableError
from functions.aws.mysql_errors import FencedError, PermanentError, ReadOnlyError, TransientError
from functions.domain import mapping
from functions.domain.entities import Entity
from functions.domain.errors import InvalidFieldError, UnmappableError

AGAIN = "start the listing again"


def write(system: str, entity: str, after: str) -> str | None:
    """A cursor for the place `after`; None at the end."""
    if not after:
        return None
    text = json.dumps([system, entity, after], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read(cursor: str | None, system: str, entity: str) -> str:
    """The place that a cursor names; "" for none, the start.

    Raises:
        InvalidFieldError: it is not a cursor, or belongs to another listing (the endpoint has moved meanwhile).
    """
    if not cursor:
        return ""
    found = _decoded(cursor)
    if found[:2] != [system, entity] or len(found) != 3 or not isinstance(found[2], str):  # noqa: PLR2004
        raise InvalidFieldError("cursor", f"is not one of this listing; {AGAIN}")
    return found[2]


def _decoded(cursor: str) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise InvalidFieldError("cursor", f"is not a cursor; {AGAIN}") from error
    return cast("list[Any]", found) if isinstance(found, list) else []


PREFIXES: list[str | re.Pattern[str]] = ["/aurora", "/dynamo"]
DEFAULT_LIMIT, HIGHEST_LIMIT = 100, 1000
AURORA_WAKES = 5  # seconds to wait before asking again; waking takes about 15
FENCE_PASSES = 1
FENCED_HEADER = "X-Streamback-Fenced"
WARM = "warm"  # an event with this key only starts an instance
NO_KEY = "streamback-warm"  # of no record
LONGEST_WARMING = 20.0  # seconds
IDEMPOTENCY_KEY = "Idempotency-Key"  # a header; lower case in HTTP/2
UNMAPPED_COLUMN = "a value does not fit the record's place"

logger = Logger()


def answer(status: int, body: object = None, headers: Mapping[str, str] | None = None) -> Response[str]:
    """A JSON response; without a body, an empty one."""
    text = "" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return Response(status, content_type="application/json", body=text, headers={**(headers or {})})


def problem(
    status: int, error: str, message: str, headers: Mapping[str, str] | None = None, **more: object
) -> Response[str]:
    return answer(status, {"error": error, "message": message, **more}, headers)


class Contract:
    """The routes of a collection over a store.

    Args:
        store_of: the store and the mapping of an entity by name; KeyError when there is no such entity.
    """

    def __init__(self, store_of: Callable[[str], tuple[Entity, Store]]) -> None:
        self._store_of = store_of
        self.app = APIGatewayRestResolver(strip_prefixes=PREFIXES)
        for kind, handle in ERRORS:
            self.app.exception_handler(kind)(handle)

    def reads(self) -> APIGatewayRestResolver:
        self.app.get("/<entity>")(self._list)
        self.app.get("/<entity>/<key>")(self._get)
        return self.app

    def writes(self) -> APIGatewayRestResolver:
        self.app.post("/<entity>")(self._post)
        self.app.put("/<entity>/<key>")(self._put)
        self.app.delete("/<entity>/<key>")(self._delete)
        return self.app

    def _of(self, entity: str) -> tuple[Entity, Store]:
        try:
            return self._store_of(entity)
        except KeyError as error:
            raise NotFoundError(entity) from error

    def _list(self, entity: str) -> Response[str]:
        described, store = self._of(entity)
        event = self.app.current_event
        limit = _limit(event.get_query_string_value("limit"))
        after = read(event.get_query_string_value("cursor"), store.system, entity)
        page = store.page(limit, after)
        body: dict[str, Any] = {
            "items": [mapping.body_from_record(described, record) for record in page.records],
            "cursor": write(store.system, entity, page.after),
        }
        if page.unrepresentable:
            logger.warning("records do not fit the mapping", entity=entity, keys=page.unrepresentable)
            body["unrepresentable"] = page.unrepresentable
        return answer(200, body)

    def _get(self, entity: str, key: str) -> Response[str]:
        described, store = self._of(entity)
        return answer(200, mapping.body_from_record(described, store.get(unquote(key))))

    def _post(self, entity: str) -> Response[str]:
        described, store = self._of(entity)
        body = self._body()
        key = _given_key(described, body)
        fields = mapping.fields_from_body(described, body)
        _check_size(described, key or "0" * 36, fields)
        record = store.create(key, fields, self._request())
        return answer(201, mapping.body_from_record(described, record))

    def _put(self, entity: str, key: str) -> Response[str]:
        described, store = self._of(entity)
        fields = mapping.fields_from_body(described, self._body(unquote(key)))
        _check_size(described, unquote(key), fields)
        record = store.replace(unquote(key), fields, self._request())
        return answer(200, mapping.body_from_record(described, record))

    def _delete(self, entity: str, key: str) -> Response[str]:
        _, store = self._of(entity)
        store.delete(unquote(key), self._request())
        return answer(204)

    def _request(self) -> str:
        return request_token(cast("Mapping[str, Any]", self.app.current_event.raw_event))

    def _body(self, key: str | None = None) -> dict[str, Any]:
        """The request's JSON object; an `id` that repeats the path's is allowed, so that an answer can be sent back."""
        try:
            text = self.app.current_event.decoded_body
            body = json.loads(text or "", parse_float=Decimal, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise InvalidFieldError("body", "expected valid JSON") from error
        if not isinstance(body, dict):
            raise InvalidFieldError("body", "expected a JSON object")
        given = cast("dict[str, Any]", body)
        if key is not None and given.pop("id", key) != key:
            raise InvalidFieldError("id", "differs from the one in the path")
        return given


def resolve(app: APIGatewayRestResolver, event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an API event.

    API Gateway gives the path as the client sent it, and clients escape differently; a route's pattern knows ASCII
    letters and a few signs. So each part is decoded, and escaped again. A handler decodes its part, once.
    """
    parts = (quote(unquote(part), safe="") for part in event["path"].split("/"))
    return app.resolve({**event, "path": "/".join(parts)}, context)


def request_token(event: Mapping[str, Any]) -> str:
    """A token of 36 characters for a client's request, the same however often the request reaches a writer.

    It is made of the client's own key if there is one, else of the id that API Gateway gives. Not of `requestId`: a
    client may set that one, and a later write with the same id would be taken for a repetition.
    """
    headers = cast("Mapping[str, str]", event.get("headers") or {})
    own = next((value for name, value in headers.items() if name.lower() == IDEMPOTENCY_KEY.lower()), "")
    given = str(cast("Mapping[str, Any]", event.get("requestContext") or {}).get("extendedRequestId") or "")
    if own:
        parts = [IDEMPOTENCY_KEY, event["httpMethod"], event["path"], own]
    else:
        parts = ["request", given or str(uuid.uuid4())]
    return str(uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(parts)))


def warm(store_of: Callable[[str], tuple[Entity, Store]], event: Mapping[str, Any]) -> dict[str, Any]:
    """Answer an event that only starts an instance: it gets ready for a request, and stays occupied.

    Args:
        store_of: the store and the mapping of an entity by name.
        event: `{"warm": entity, "seconds": how long}`; as long as it is occupied, others that are warmed get
            instances of their own. API Gateway sends no such event.
    """
    with contextlib.suppress(NotFoundError, TransientError):
        store_of(str(event[WARM]))[1].get(NO_KEY)
    return occupied(event)


def occupied(event: Mapping[str, Any]) -> dict[str, Any]:
    """Stay occupied for as long as an event that only starts an instance says."""
    time.sleep(min(float(event.get("seconds", 0)), LONGEST_WARMING))
    return {WARM: event[WARM]}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _given_key(entity: Entity, body: dict[str, Any]) -> str | None:
    key = body.pop("id", None)
    if key is None:
        return None
    if entity.legacy.key_type != "string":
        raise InvalidFieldError("id", "is assigned by the service")
    if not isinstance(key, str):
        raise InvalidFieldError("id", "expected text")
    if problem := mapping.key_problem(entity, key):
        raise InvalidFieldError("id", problem)
    return key


def _check_size(entity: Entity, key: str, fields: Mapping[str, Any]) -> None:
    item = mapping.item_from_record(entity, mapping.Record(key, fields))
    if mapping.item_size(item) > mapping.ITEM_LIMIT:
        raise TooLargeError


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:5]) <= HIGHEST_LIMIT):
        raise InvalidFieldError("limit", f"expected a whole number from 1 to {HIGHEST_LIMIT}")
    return int(text)


def guarded(run: Callable[[], object]) -> dict[str, Any]:
    """Run outside any route, with the contract's answers to failures, as API Gateway's proxy integration wants it."""
    try:
        return _proxied(answer(200, run()))
    except Exception as error:  # noqa: BLE001  # the last one of ERRORS takes whatever it is
        return failed(error)


def failed(error: Exception) -> dict[str, Any]:
    """The contract's answer to a failure, as API Gateway's proxy integration wants it."""
    return _proxied(next(handle for kind, handle in ERRORS if isinstance(error, kind))(error))


def _proxied(response: Response[str]) -> dict[str, Any]:
    return {"statusCode": response.status_code, "headers": response.headers, "body": response.body}


def _invalid(error: InvalidFieldError) -> Response[str]:
    return problem(400, "invalid", f"{error.field}: {error.problem}", field=error.field)


def _unrepresentable(error: UnmappableError) -> Response[str]:
    logger.warning("a record does not fit the mapping", field=error.field)
    message = f"{error.field}: the stored value cannot be represented; replace or delete the record."
    return problem(422, "unrepresentable", message, field=error.field)


def _refused(error: PermanentError) -> Response[str]:
    logger.warning("the database refused a record", code=error.code)
    return problem(400, "invalid", UNMAPPED_COLUMN)


def _transient(error: TransientError) -> Response[str]:
    logger.warning("the database is not there now", reason=str(error), code=error.code)
    return _unavailable(UnavailableError(AURORA_WAKES, maybe_written=error.maybe_written))


def _unavailable(error: UnavailableError) -> Response[str]:
    headers = {"Retry-After": str(error.retry_after), **({FENCED_HEADER: "1"} if error.fenced else {})}
    outcome = "unknown" if error.maybe_written else "nothing_written"
    return problem(503, "unavailable", "The service cannot answer now; try again.", headers, outcome=outcome)


def _unforeseen(error: Exception) -> Response[str]:
    logger.error("a request failed", exc_info=error)
    return problem(500, "internal", "The request failed.")


# From the particular to the general; the first that fits answers.
ERRORS: tuple[tuple[type[Exception], Callable[[Any], Response[str]]], ...] = (
    (InvalidFieldError, _invalid),
    (NotFoundError, lambda _: problem(404, "not_found", "There is no such record.")),
    (NoRouteError, lambda _: problem(404, "not_found", "There is no such route.")),
    (UnmappableError, _unrepresentable),
    (ConflictError, lambda _: problem(409, "conflict", "The id, or a value that must be unique, exists.")),
    (TooLargeError, lambda _: problem(413, "too_large", "A record may have at most 400 KB.")),
    (UnavailableError, _unavailable),
    (FencedError, lambda _: _unavailable(UnavailableError(FENCE_PASSES, fenced=True))),
    (ReadOnlyError, lambda _: problem(403, "read_only", "Legacy is read-only: the entity has moved.")),
    (TransientError, _transient),
    (PermanentError, _refused),
    (Exception, _unforeseen),
)
