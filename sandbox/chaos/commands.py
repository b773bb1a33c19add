"""Runs the real `runbook` as a process of its own, again and again until it ends well, and lets others kill it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.chaos.system import Arena
from sandbox.emulator.behaviour.skewed_clock import VARIABLE
from sandbox.state import PROJECT

# why not the program `runbook`: its clock may be moved first. -P: the present folder is no place for its imports.
PROGRAM = (sys.executable, "-P", "-m", "sandbox.chaos.operator")
TIMEOUT = 240.0  # seconds in which a command must have ended well
LANE_RETURNS = 80.0  # seconds after which a dead lane of copy is called again, at most; its keys differ until then
LONGEST = 200.0  # seconds of one try
MOST_MISMATCHES = 1  # that may pass: `verify` itself waits for bridge and copy before it reports one
BETWEEN = 0.5  # seconds before the next try of what ended without success
MOST = 60  # tries
KILLED = -9
DONE, USAGE, MISMATCH, PRECONDITION, REFUSED = 0, 2, 3, 4, 5
REMEDY = "`runbook adopt --entity"  # in what a command says that is refused because an adopted system differs


class StuckError(Exception):
    """A command did not end well, however often it was run."""


def opposite(words: Sequence[str]) -> Sequence[str]:
    """The command that takes a switch of writes back; the same one for every other."""
    if tuple(words[:2]) == ("cutover", "writes"):
        return ("rollback", *[word for word in words[1:] if word not in {"--reads-stay", "--direct"}])
    if tuple(words[:2]) == ("rollback", "writes"):
        return ("cutover", "writes", "--reads-stay", *words[2:])
    return words


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join((self.err or self.out).split())[:300]

    @property
    def gist(self) -> str:
        """The same for what is said again with other numbers."""
        return re.sub(r"\d", "", self.said)[:100]


class Runbook:
    """The runbook's commands against one sandbox.

    Args:
        program: the folder of the program, whose runbook it is.
    """

    def __init__(self, arena: Arena, program: Path = PROJECT) -> None:
        self._arena = arena
        self._program = program
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self.tries = 0
        self._stopped = 0.0  # seconds for which the main command was stopped, in all
        self._stopped_at: float | None = None
        self.skew = 0.0  # seconds that an operator's clock is ahead

    def once(self, words: Sequence[str], *, main: bool = False, skew: float | None = None) -> Ended:
        """Run a command once.

        Args:
            words: the command, without --outputs.
            main: makes it the one that `kill` and `pause` act on.
            skew: seconds that its clock is ahead; `self.skew` by default.
        """
        outputs = str(self._arena.sandbox.location.outputs)
        process = subprocess.Popen(  # noqa: S603  # our own program
            [*PROGRAM, *words, "--outputs", outputs],
            env=self._environment(self.skew if skew is None else skew),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if main:
            with self._lock:
                self._process = process
        out, err = self._output(process, words, main=main)
        if "Traceback (most recent call last)" in err and process.returncode != KILLED:
            self._arena.problem(f"`runbook {' '.join(words)}` fell with a traceback:\n{err}")
        return Ended(process.returncode, out, err)

    def _output(self, process: subprocess.Popen[str], words: Sequence[str], *, main: bool) -> tuple[str, str]:
        """What it prints; time in which the main command is stopped does not count for it."""
        deadline, before = time.monotonic() + LONGEST, self.stopped()
        while (left := deadline + (self.stopped() - before if main else 0.0) - time.monotonic()) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.communicate(timeout=left)
        process.kill()
        self._arena.problem(f"`runbook {' '.join(words)}` hung for {LONGEST:.0f} s")
        return process.communicate()

    def stopped(self) -> float:
        """Seconds for which the main command was stopped, in all, until now."""
        return self._stopped + (0.0 if self._stopped_at is None else time.monotonic() - self._stopped_at)

    def _environment(self, skew: float) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self._program), VARIABLE: str(skew)}

    def pause(self) -> bool:
        """Stop the main command as a machine that sleeps would; False when none runs."""
        if not self._signal(signal.SIGSTOP):
            return False
        self._stopped_at = time.monotonic()
        return True

    def resume(self) -> None:
        """Let the main command continue."""
        self._signal(signal.SIGCONT)
        self._stopped, self._stopped_at = self.stopped(), None

    def kill(self) -> bool:
        """Kill the main command as a crash would; False when none runs."""
        return self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> bool:
        with self._lock:
            process = self._process
        if process is None or process.poll() is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        return True

    def _may_differ(self) -> bool:
        """Whether both sides may differ: items were changed beside modern, or a lane may still wait for its call."""
        killed = self._arena.kills[-1:]
        return bool(self._arena.conflicts) or any(time.monotonic() - moment < LANE_RETURNS for moment in killed)

    def until_done(self, words: Sequence[str], timeout: float = TIMEOUT, *, main: bool = True) -> Ended:
        """Run a command until it ends with 0; `main` makes it the one that `kill` kills.

        Raises:
            StuckError: it never did, or it cannot be used like that.
        """
        deadline, tries, said, differed = time.monotonic() + timeout - self.stopped(), 0, "", 0
        while True:
            tries += 1
            self.tries += 1
            ended = self.once(words, main=main)
            if ended.code == DONE:
                return ended
            if ended.gist != said or not said:
                said = ended.gist
                self._arena.note(f"`runbook {' '.join(words[:2])}` ended with {ended.code}: {ended.said}")
            differed += ended.code == MISMATCH and not self._may_differ()
            if (
                ended.code == USAGE
                or differed > MOST_MISMATCHES
                or tries == MOST
                or time.monotonic() - self.stopped() > deadline
            ):
                raise StuckError(f"`runbook {' '.join(words)}` ended with {ended.code}:\n{ended.out}{ended.err}")
            if ended.code == PRECONDITION and REMEDY in ended.out + ended.err:
                self._adopt_again()
            if ended.code != KILLED:
                time.sleep(BETWEEN)

    def _adopt_again(self) -> None:
        """As the command has said; it is run again in any case, and says so again if that did not help."""
        ended = self.once(("adopt", "--entity", self._arena.name, "--execute"))
        self._arena.note(f"`runbook adopt` put right what another tool has changed, and ended with {ended.code}")
