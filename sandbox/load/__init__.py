"""A paced, signed load on the public API from a process of its own, with a record of every attempt."""

import contextlib
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self, cast

from runbook.aws.outputs import Target
from sandbox.errors import SandboxError
from sandbox.load import records
from sandbox.load.client import Endpoint
from sandbox.load.records import Attempt, History, Waits
from sandbox.load.workers import Shape

__all__ = ["Attempt", "History", "Load", "Shape", "Waits", "shape_of"]

PER_WRITER, PER_READER = (1.0, 8.0)  # operations a second of one thread: so slow that a held answer delays no other
MOST_THREADS = 64  # of a kind
TIMEOUT = 120.0  # seconds for the last answers


def shape_of(target: Target, entity: str, seed: int = 0, chosen: Sequence[str] = ()) -> Shape:
    """How the load's records look; `body(value)` makes one, for rows that are to look alike.

    Args:
        chosen: its text fields to write; all of them without it.

    Raises:
        SandboxError: the entity has no text field.
    """
    fields = list(chosen) or [name for name, each in target.mapping[entity].fields.items() if each.type == "string"]
    if not fields:
        raise SandboxError(f"{entity} has no text field that a load could write a value of its own to.")
    return Shape(entity, fields, f"load-{seed}-")


class Load:
    """Clients that write and read at a given rate, however long each answer takes.

    Use it as a context manager, or `start()` and `stop()`. A documented 503 is waited out and tried again, with a new
    value: each attempt has a record of its own. Nothing else is tried again.

    Args:
        target: the deployed stack; the public routes are used, as its operator.
        writes_per_s: POST, PUT and DELETE together; each key is written by one client only.
        reads_per_s: GET of one record and of a page.
        seed: which choices are made.
        keys: records that are there already, which the clients may replace and delete, too.
        fields: the text fields that the clients write; all of the entity's without it.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what makes up a load
        self,
        target: Target,
        entity: str,
        writes_per_s: float = 50,
        reads_per_s: float = 200,
        seed: int = 0,
        keys: Sequence[str] = (),
        fields: Sequence[str] = (),
    ) -> None:
        self.shape = shape_of(target, entity, seed, fields)
        self.counts: Mapping[str, int] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="streamback-load-")
        self._history = Path(self._folder.name) / "history.jsonl"
        self._marks: list[tuple[float, str]] = []
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None
        self._settings: dict[str, Any] = {
            "endpoint": asdict(Endpoint.of(target)),
            "entity": entity,
            "mapping": {entity: target.mapping.raw[entity]},
            "fields": list(self.shape.fields),
            "prefix": self.shape.prefix,
            "keys": list(keys),
            "seed": seed,
            "history": str(self._history),
            "writes": writes_per_s,
            "reads": reads_per_s,
            "writers": min(MOST_THREADS, math.ceil(writes_per_s / PER_WRITER)),
            "readers": min(MOST_THREADS, math.ceil(reads_per_s / PER_READER)),
        }

    def start(self) -> Self:
        """Begin to send; returns when the first counts have come."""
        command = [sys.executable, "-m", "sandbox.load"]
        self._process = subprocess.Popen(  # noqa: S603  # our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        stdin, stdout = cast("Any", self._process.stdin), cast("Any", self._process.stdout)
        stdin.write(json.dumps(self._settings) + "\n")
        stdin.flush()
        self._receive(stdout.readline())
        self._listener = threading.Thread(
            target=lambda: [self._receive(line) for line in stdout], name="load", daemon=True
        )
        self._listener.start()
        self.mark("start")
        return self

    def mark(self, name: str) -> float:
        """Begin a window of that name, which the next mark ends; returns the moment."""
        moment = time.monotonic()
        self._marks.append((moment, name))
        return moment

    @contextlib.contextmanager
    def window(self, name: str) -> Generator[None]:
        """A window of that name around what is done within; one named "between" begins at its end."""
        self.mark(name)
        try:
            yield
        finally:
            self.mark("between")

    def stop(self) -> History:
        """Send no more, wait for every answer; returns what was seen.

        Raises:
            SandboxError: the sending process died.
        """
        process, listener = self._process, self._listener
        if process is None or listener is None:
            raise SandboxError("The load was not started.")
        cast("Any", process.stdin).close()
        try:
            code = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        listener.join()
        self._process = None
        if code:
            raise SandboxError(f"The process that makes the load ended with {code}.")
        found = History(records.read(self._history), tuple(self._marks))
        self._folder.cleanup()
        return found

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()

    def _receive(self, line: str) -> None:
        if not line:
            raise SandboxError("The process that makes the load did not start.")
        self.counts = json.loads(line)
