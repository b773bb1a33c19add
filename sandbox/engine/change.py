"""Changes one resource at the emulator, for both engines: the sandbox's own and Pulumi's."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.engine.errors import EngineError
from sandbox.engine.registry import Handler
from sandbox.engine.shape import section
from sandbox.engine.state import Record
from sandbox.engine.tagging import retag

ABSENT = ("NotFound", "NoSuch", "NonExistent", "DoesNotExist")  # how services name "it is not there"
# What a handler raises where the emulator refuses, or where the program asks for what the sandbox does not know.
REFUSALS = (BotoCoreError, ClientError, KeyError, ValueError, TypeError, NotImplementedError, EngineError)


def update(worker: Handler, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
    """Change the resource in place; the outputs that are new. `record` still has the old inputs."""
    if "tags" in changed:
        retag(worker.aws, record.outputs["arn"], record.id, section(record.inputs, "tags"), section(inputs, "tags"))
    rest = changed - {"tags"}
    return worker.update(record, inputs, rest) if rest else {}


def delete(worker: Handler, record: Record) -> None:
    """Delete the resource, if it is still there."""
    try:
        worker.delete(record)
    except ClientError as error:
        if not is_absent(error):
            raise


def is_absent(error: ClientError) -> bool:
    """Whether the service says that the resource is not there."""
    return any(word in error.response.get("Error", {}).get("Code", "") for word in ABSENT)


def explain(error: Exception) -> str:
    """What to say of one of `REFUSALS`."""
    return f"no {error}" if isinstance(error, KeyError) else str(error)
