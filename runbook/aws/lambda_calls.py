"""Calls the deployed functions that prepare the legacy database, again while it wakes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from runbook.errors import FailedError

if TYPE_CHECKING:
    from runbook.stack import Context

PATIENCE = 120.0  # seconds; Aurora Serverless v2 wakes from zero in about 15, a new cluster may take longer
PASSING = ("resuming", "starting", "unavailable", "timed out", "timeout", "throttl", "transient")
GOES_ON = "StillAlteringError"  # a long change of a table goes on in Aurora; the next call finds it and waits
OUT_OF_TIME = "task timed out"  # Lambda ended the function itself: that is no database that wakes
OK = 200


def invoke(context: Context, function: str, event: Mapping[str, Any], again: str = "runbook init") -> Mapping[str, Any]:
    """Call a function that may be repeated, again while the database wakes; returns its answer.

    Args:
        context: the stack.
        function: its name.
        event: what it is told.
        again: the command to run again after a failure.

    Raises:
        FailedError: with what the function said.
    """
    deadline = time.monotonic() + PATIENCE
    wait = 1.0
    while True:
        answer, problem = _call(context, function, event)
        if problem is None:
            return answer
        if problem.startswith(GOES_ON):  # however long that takes: the function itself has waited
            context.say(problem)
            deadline = time.monotonic() + PATIENCE
            continue
        if not _passing(problem) or time.monotonic() + wait > deadline:
            raise FailedError(f"{function}: {problem}", f"Its log group has more. Then run `{again}` again.")
        context.say(f"waiting for Aurora ({problem})")
        time.sleep(wait)
        wait = min(wait * 2, 10.0)


def body(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The JSON in an API answer's body; empty when it has none."""
    text = answer.get("body")
    try:
        return cast("Mapping[str, Any]", json.loads(text)) if isinstance(text, str) else {}
    except ValueError:
        return {}


def _call(context: Context, function: str, event: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
    reply = context.clients.functions.invoke(FunctionName=function, Payload=json.dumps(event).encode())
    payload = json.loads(reply["Payload"].read() or b"null")
    answer = cast("dict[str, Any]", payload if isinstance(payload, dict) else {})
    if reply.get("FunctionError"):
        return (
            answer,
            f"{answer.get('errorType', 'Error')}: {answer.get('errorMessage', 'it gave no message')}",
        )
    status = int(answer.get("statusCode", OK))
    return answer, None if status == OK else f"{status} {body(answer).get('message', '')}".strip()


def _passing(problem: str) -> bool:
    text = problem.lower()
    return OUT_OF_TIME not in text and (text.startswith("503") or any(word in text for word in PASSING))
