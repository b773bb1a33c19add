"""Calls to Lambda: the functions that prepare Aurora (retried while it wakes), copy's lanes, and stream mappings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from functions.aws.retry import is_transient_text, poll, waits
from functions.domain import names
from runbook.aws.clients import silent
from runbook.errors import FailedError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

TIMEOUT_SECONDS = 120.0  # Aurora Serverless v2 wakes from zero in about 15 s, a new cluster may take longer
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 10.0
STILL_ALTERING = "StillAlteringError"  # ALTER TABLE is still running in Aurora; the next call waits for it
MAPPING_TIMEOUT_SECONDS = 180.0  # Lambda takes up to a minute to switch a stream mapping
MAPPING_POLL_SECONDS = 0.2
OK = 200


def invoke(
    functions: LambdaClient,
    function: str,
    event: Mapping[str, Any],
    again: str = "runbook init",
    say: Callable[[str], None] = silent,
) -> Mapping[str, Any]:
    """Call a function that may be repeated, and retry while the database wakes; returns its answer.

    Args:
        event: its event.
        again: the command to run again after a failure.
        say: receives progress.

    Raises:
        FailedError: with the function's error.
    """
    deadline, pause = time.monotonic() + TIMEOUT_SECONDS, waits(FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)
    while True:
        answer, problem = _call(functions, function, event)
        if problem is None:
            return answer
        if problem.startswith(STILL_ALTERING):  # without a deadline, because the function itself has waited
            say(problem)
            deadline = time.monotonic() + TIMEOUT_SECONDS
            continue
        if not is_transient_text(problem) or time.monotonic() > deadline:
            raise FailedError(f"{function}: {problem}", f"Its log group has more. Then run `{again}` again.")
        say(f"waiting for Aurora ({problem})")
        time.sleep(next(pause))


def body(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON in an API answer's body; empty when it has none."""
    text = answer.get("body")
    try:
        return cast("Mapping[str, Any]", json.loads(text)) if isinstance(text, str) else {}
    except ValueError:
        return {}


def wake_lanes(functions: LambdaClient, copy_function: str, entity: str) -> None:
    """Call every lane of an entity's copy at once; a lane that has a worker refuses the second."""
    for lane in range(names.LANES):
        event = json.dumps({"entity": entity, "lane": lane, "alone": True}).encode()
        functions.invoke(FunctionName=copy_function, InvocationType="Event", Payload=event)


def timeout_of(functions: LambdaClient, function: str) -> float:
    """The seconds after which Lambda ends an invocation of a function."""
    return float(functions.get_function_configuration(FunctionName=function).get("Timeout", 0))


def role_of(functions: LambdaClient, function: str) -> str:
    """The ARN of the role that a function runs as."""
    return functions.get_function_configuration(FunctionName=function).get("Role", "")


def mapping_state(functions: LambdaClient, mapping_id: str) -> str:
    """A stream mapping's state; empty when there is no such mapping."""
    try:
        return functions.get_event_source_mapping(UUID=mapping_id).get("State", "")
    except functions.exceptions.ResourceNotFoundException:
        return ""


def switch_mapping(functions: LambdaClient, mapping_id: str, *, enabled: bool) -> None:
    """Enable or disable a stream mapping and wait until it is; a batch under way ends before. A missing one is off.

    Raises:
        FailedError: Lambda did not switch it within `MAPPING_TIMEOUT_SECONDS`.
    """
    wanted = "Enabled" if enabled else "Disabled"

    def switched() -> bool:
        state = mapping_state(functions, mapping_id)
        if state == wanted or not (state or enabled):
            return True
        if state in {"Enabled", "Disabled"}:
            functions.update_event_source_mapping(UUID=mapping_id, Enabled=enabled)
        return False

    if poll(switched, timeout=MAPPING_TIMEOUT_SECONDS, first=MAPPING_POLL_SECONDS, longest=MAPPING_POLL_SECONDS):
        return
    raise FailedError(
        f"the stream mapping {mapping_id} is not {wanted} after {MAPPING_TIMEOUT_SECONDS:.0f} s",
        "See the mapping in Lambda's console.",
    )


def _call(functions: LambdaClient, function: str, event: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    reply = functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    payload = json.loads(reply["Payload"].read() or b"null")
    answer = cast("dict[str, Any]", payload if isinstance(payload, dict) else {})
    if reply.get("FunctionError"):
        return answer, f"{answer.get('errorType', 'Error')}: {answer.get('errorMessage', 'it gave no message')}"
    status = int(answer.get("statusCode", OK))
    return answer, None if status == OK else f"{status} {body(answer).get('message', '')}".strip()
