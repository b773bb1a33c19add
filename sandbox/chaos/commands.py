"""Runs the real `runbook` as a process of its own, again and again until it ends well, and lets others kill it."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.chaos.system import Arena

TIMEOUT = 240.0  # seconds in which a command must have ended well
LONGEST = 200.0  # seconds of one try; a dead lane of copy is called again within 80
BETWEEN = 0.5  # seconds before the next try of what ended without success
MOST = 60  # tries
KILLED = -9
DONE, USAGE, REFUSED = 0, 2, 5


class StuckError(Exception):
    """A command did not end well, however often it was run."""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join((self.err or self.out).split())[:300]


class Runbook:
    """The runbook's commands against one sandbox."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self.tries = 0

    def once(self, words: Sequence[str], *, main: bool = False) -> Ended:
        """Run a command once; `main` makes it the one that `kill` kills."""
        program = str(Path(sys.executable).parent / "runbook")
        outputs = str(self._arena.sandbox.location.outputs)
        process = subprocess.Popen(  # noqa: S603  # our own program
            [program, *words, "--outputs", outputs],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if main:
            with self._lock:
                self._process = process
        try:
            out, err = process.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self._arena.problem(f"`runbook {' '.join(words)}` hung for {LONGEST:.0f} s")
        if "Traceback (most recent call last)" in err and process.returncode != KILLED:
            self._arena.problem(f"`runbook {' '.join(words)}` fell with a traceback:\n{err}")
        return Ended(process.returncode, out, err)

    def kill(self) -> bool:
        """Kill the main command as a crash would; False when none runs."""
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return True

    def until_done(self, words: Sequence[str], timeout: float = TIMEOUT) -> Ended:
        """Run a command until it ends with 0.

        Raises:
            StuckError: it never did, or it cannot be used like that.
        """
        deadline, tries, said = time.monotonic() + timeout, 0, ""
        while True:
            tries += 1
            self.tries += 1
            ended = self.once(words, main=True)
            if ended.code == DONE:
                return ended
            if ended.said != said or not said:
                said = ended.said
                self._arena.note(f"`runbook {' '.join(words[:2])}` ended with {ended.code}: {said}")
            if ended.code == USAGE or tries == MOST or time.monotonic() > deadline:
                raise StuckError(f"`runbook {' '.join(words)}` ended with {ended.code}:\n{ended.out}{ended.err}")
            if ended.code != KILLED:
                time.sleep(BETWEEN)
