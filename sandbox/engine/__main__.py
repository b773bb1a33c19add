"""One run of the engine in a process of its own: a request on stdin, JSON lines on stdout (see sandbox/deploy.py)."""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from pulumi import RunError

from sandbox.engine import program
from sandbox.engine.aws import Aws
from sandbox.engine.deployment import Deployment, Event
from sandbox.engine.errors import EngineError
from sandbox.engine.state import State


def main() -> int:
    """Run; 0 when the outputs were written, 1 when an error was."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what the program prints must not mix with the answers
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(message)s")
    request = json.load(sys.stdin)
    state = State.load(Path(request["state"]))
    options = {name: request[name] for name in ("preview", "anew", "refresh")}
    deployment = Deployment(state, Aws(request["endpoint"]), _writer(answers), **options)
    try:
        outputs = program.run(Path(request["program"]), deployment, request["config"])
    except (EngineError, RunError) as error:
        _write(answers, {"error": str(error)})
        return 1
    except Exception as error:  # whatever the program raises is its user's to see
        logging.getLogger(__name__).exception("the program failed", exc_info=error)
        _write(answers, {"error": f"{type(error).__name__}: {error}"})
        return 1
    _write(answers, {"outputs": outputs})
    return 0


def _writer(answers: TextIO) -> Callable[[Event], None]:
    def report(event: Event) -> None:
        kind, name = event.type, event.name
        _write(
            answers, {"change": event.change, "urn": event.urn, "type": kind, "name": name, "seconds": event.seconds}
        )

    return report


def _write(answers: TextIO, document: dict[str, Any]) -> None:
    # Sorted, as `pulumi stack output --json` prints: protobuf keeps no order, and no reader may come to rely on one.
    answers.write(json.dumps(document, sort_keys=True) + "\n")
    answers.flush()


sys.exit(main())
