"""Calls to DynamoDB: their errors by meaning, and batches that are sent until DynamoDB has taken all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

from functions.aws import plain_json
from functions.aws.mysql_errors import TransientError
from functions.aws.retry import BUSY_CODES, TRANSIENT_CODES, waits

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Answer = TypeVar("Answer")
CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)
LONGEST_CALL_SECONDS = 8.0  # seconds after which a request has surely ended: both timeouts, and one more
READ_AT_ONCE, TRANSACTED_AT_ONCE = 100, 100  # limits of BatchGetItem and TransactWriteItems
BATCH_TIMEOUT_SECONDS = 60.0
BATCH_WAITS = (0.2, 5.0)  # seconds before what was left over is sent again, the first and the longest
INVALID, REFUSED = "ValidationException", "ConditionalCheckFailedException"
CANCELED = "TransactionCanceledException"
# Errors after which a write may have been done, or may be done still.
IN_DOUBT_CODES = (TRANSIENT_CODES - BUSY_CODES) | {"TransactionInProgressException"}
# Why a transaction was canceled, nothing of it written: those that are final, and those that are transient.
FINAL_REASONS = frozenset({"ValidationError", "ItemCollectionSizeLimitExceeded"})
TRANSIENT_REASONS = frozenset({"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"})


class TransientDynamoError(Exception):
    """It may work when tried again."""


class ThrottledError(TransientDynamoError):
    """A batch was left over for too long: the table is throttled."""


class InDoubtError(TransientDynamoError):
    """No answer came, or none that says whether the request was done. It may still be done later."""


class ItemRefusedError(Exception):
    """The condition of a write, or of one in its transaction, does not hold; nothing was written."""


class InvalidError(Exception):
    """DynamoDB takes no such request; a retry cannot help."""


@cache
def dynamodb() -> DynamoDBClient:
    """DynamoDB without the SDK's retries, as copy and modern's writers call it: they decide what may be repeated."""
    return plain_json.client(boto3.Session(), "dynamodb", CONFIG)


def called(call: Callable[[], Answer]) -> Answer:
    """What a call to DynamoDB answers.

    Raises:
        TransientDynamoError: or one of this file's others; an unknown error is boto3's own.
    """
    try:
        return call()
    except (ClientError, BotoCoreError) as error:
        raise meaning(error) from error


class ServerClock:
    """DynamoDB's time, by its answers: this machine's clock may be wrong by minutes.

    An answer's time lies between the moment before the request and the one after it, so a process that stands still
    in between learns nothing wrong.
    """

    def __init__(self) -> None:
        self._ahead: float | None = None

    @property
    def known(self) -> bool:
        """Whether an answer was read."""
        return self._ahead is not None

    def now(self) -> float:
        """Seconds since 1970, a second off at most; this machine's before the first answer."""
        return time.time() + (self._ahead or 0.0)

    def read(self, call: Callable[[], Answer]) -> Answer:
        """The answer to a call of DynamoDB, whose time is noted."""
        began = time.time()
        answer = call()
        date = cast("Mapping[str, Any]", answer).get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date:
            at = parsedate_to_datetime(date).timestamp()  # rounded down
            least, most = at - time.time(), at + 1.0 - began
            self._ahead = min(max(self._ahead or 0.0, least), max(least, most))
        return answer


def answered_at(answer: Mapping[str, Any]) -> float:
    """DynamoDB's own time when it answered, in seconds since 1970, rounded down; this machine's if it gives none."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date).timestamp() if date else time.time()


def meaning(error: ClientError | BotoCoreError) -> Exception:
    """One of this file's errors; an unknown one as it is."""
    if isinstance(error, ConnectTimeoutError | EndpointConnectionError):
        return TransientDynamoError(f"DynamoDB could not be reached: {error}")
    if not isinstance(error, ClientError):
        return InDoubtError(f"DynamoDB did not answer: {error}")
    details = cast("dict[str, str]", error.response.get("Error", {}))
    name, text = details.get("Code", ""), details.get("Message", "")
    if name == CANCELED:
        return _canceled(error, text)
    if name in IN_DOUBT_CODES | TRANSIENT_CODES:
        return (InDoubtError if name in IN_DOUBT_CODES else TransientDynamoError)(f"{name}: {text}")
    if name == REFUSED:
        return ItemRefusedError(text)
    return InvalidError(text) if name == INVALID else error


def _canceled(error: ClientError, text: str) -> Exception:
    """The meaning of a canceled transaction, which wrote nothing. A condition that does not hold comes first."""
    reasons = cast("list[dict[str, str]]", cast("Any", error.response).get("CancellationReasons") or [])
    codes = {reason.get("Code", "") for reason in reasons}
    if "ConditionalCheckFailed" in codes:
        return ItemRefusedError(text)
    final = next((reason for reason in reasons if reason.get("Code") in FINAL_REASONS), None)
    if final:
        return InvalidError(final.get("Message", text))
    return TransientDynamoError(text) if codes & TRANSIENT_REASONS else error


def read_batches(  # noqa: PLR0913  # what to read, and how to wait
    client: DynamoDBClient,
    table: str,
    keys: Sequence[Mapping[str, Any]],
    *,
    sleep: Callable[[float], object] = time.sleep,
    timeout: float = BATCH_TIMEOUT_SECONDS,
    call: Callable[[Callable[[], Any]], Any] = lambda request: request(),
    **options: Any,
) -> Iterator[Mapping[str, Any]]:
    """The items of some keys, in no order, by as many BatchGetItem as it takes.

    Args:
        keys: each once.
        sleep: waits, and may raise to stop.
        timeout: seconds in which DynamoDB must take some of what is left.
        call: makes each request, such as `called`.
        options: of the request, such as `ConsistentRead`.

    Raises:
        ThrottledError: DynamoDB took none of what was left for too long.
    """
    for start in range(0, len(keys), READ_AT_ONCE):
        left: Any = keys[start : start + READ_AT_ONCE]

        def send(some: Any) -> tuple[list[Mapping[str, Any]], Any]:
            request: Any = {table: {"Keys": some, **options}}
            answer: Any = call(lambda: client.batch_get_item(RequestItems=request))
            unprocessed: Any = answer.get("UnprocessedKeys") or {}
            return answer["Responses"].get(table, []), unprocessed.get(table, {}).get("Keys", [])

        yield from _until_taken(left, send, table, sleep, timeout)


def _until_taken(
    left: Any,
    send: Callable[[Any], tuple[list[Mapping[str, Any]], Any]],
    table: str,
    sleep: Callable[[float], object],
    timeout: float,
) -> Iterator[Mapping[str, Any]]:
    """Send what DynamoDB leaves over again; whenever it takes some, it has the whole time anew."""
    deadline, pause = time.monotonic() + timeout, waits(*BATCH_WAITS)
    while left:
        found, unprocessed = send(left)
        yield from found
        if len(unprocessed) < len(left):
            deadline, pause = time.monotonic() + timeout, waits(*BATCH_WAITS)
        elif time.monotonic() >= deadline:
            raise ThrottledError(f"DynamoDB throttles {table}")
        left = unprocessed
        if left:
            sleep(next(pause))


def read_at_one_moment(
    client: DynamoDBClient, table: str, key_attribute: str, keys: Sequence[str]
) -> dict[str, Mapping[str, Any] | None]:
    """The items of at most 100 keys as they are at one moment, None for a key without one.

    Raises:
        TransientError: a write of one of them is under way, or DynamoDB does not answer; read again.
    """
    wanted: Any = [{"Get": {"TableName": table, "Key": {key_attribute: {"S": key}}}} for key in keys]
    try:
        answer = called(lambda: client.transact_get_items(TransactItems=wanted))
    except TransientDynamoError as error:
        raise TransientError(str(error), maybe_written=False) from error
    return {key: found.get("Item") for key, found in zip(keys, answer["Responses"], strict=True)}


def table_of_stream(arn: str) -> str:
    """The name in `arn:aws:dynamodb:<region>:<account>:table/<name>/stream/<label>`."""
    return arn.split("/")[1]
