"""The operator's lock: a lease in the journal, renewed by a thread while its holder runs, taken over when it is dead.

An entity has one, and so has the API's canary, whose percentage all entities of a stack share.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from functions.aws.retry import retry
from functions.install.tokens import CHANGES_A_LOCK
from runbook.errors import LockLostError, RefusedError
from runbook.journal.journal import Journal
from runbook.journal.state import Event, Lock, State

LEASE = 30.0  # seconds; how long an operator whose machine died keeps others out
CANARY = "the canary of the API"  # the key of its lock in the journal
RETRY_SECONDS = 0.2
RENEWALS = 3  # renewals a lease, so that two may fail before it is lost
STEP_SECONDS = 120.0  # without an answer to any request, after which a command has hung: Aurora gets 60 s to wake
QUIET_SECONDS = 5.0  # without progress, from which on the refusal of another operator says so


class Lease:
    """A lock that is held; a thread renews it until `end`, as long as its holder makes progress.

    Args:
        lock: as it was written there.
        taken: monotonic seconds, before it was written; a machine's clock may be set, and may stop in its sleep.
    """

    lock: Lock

    def __init__(self, journal: Journal, entity: str, lock: Lock, taken: float) -> None:
        self.lock = lock
        self.entity = entity
        self._renewed = taken
        self._changes = count()
        self._writing = threading.Lock()
        self._journal = journal
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{entity}", daemon=True)
        self.begin("begin")
        self._thread.start()

    def begin(self, step: str, seconds: float | None = None) -> None:
        """Begin a step, in which `seconds` pass at most between two answers to requests; STEP_SECONDS by default."""
        self._step, self._bound = step, STEP_SECONDS if seconds is None else seconds
        self.progress()

    def progress(self) -> None:
        """Note that a request was answered; the renewals' own do not count."""
        if threading.current_thread() is not self._thread:
            self._progress = time.time(), time.monotonic()

    @property
    def hung(self) -> bool:
        """Whether the step has made no progress within its bound."""
        return time.monotonic() > self._progress[1] + self._bound

    def next_token(self) -> int:
        """A token for the next change in Aurora; it grows with each."""
        return self.lock.token * CHANGES_A_LOCK + next(self._changes)

    @property
    def last_token(self) -> int:
        """The highest token that this lock can give."""
        return (self.lock.token + 1) * CHANGES_A_LOCK - 1

    def outgrow(self, token: int) -> None:
        """Have higher tokens than `token`, which is of a journal before this one.

        Raises:
            LockLostError: the lock is no longer ours; so the token may be that of a newer lock.
        """
        with self._writing:
            raised = replace(self.lock, token=token // CHANGES_A_LOCK + 1)
            self._journal.write(raised, self.entity, {"lock": raised, "token": raised.token})
            self.lock = raised

    def check(self) -> None:
        """Stop a holder that lost its lease, or could not renew it: its machine slept, or a request hung.

        Raises:
            LockLostError: when somebody else holds it now, or may hold it.
        """
        if time.time() > self.lock.until or time.monotonic() > self._renewed + LEASE:
            raise self._journal.overtaken(self.lock, self.entity) or LockLostError(
                f"the lock on {self.entity} could not be renewed for {LEASE:.0f} s, so another operator may hold it",
                "See `runbook status`, then run the command again.",
            )
        if self._lost.is_set():
            raise self.lost()
        self.progress()

    def demand(self) -> None:
        """Check, and look into the journal: for a change that nothing refuses where it takes effect.

        Raises:
            LockLostError: as `check` does, and when another command has taken the lock a moment ago.
        """
        self.check()
        if overtaken := self._journal.overtaken(self.lock, self.entity):
            raise overtaken

    def lost(self) -> LockLostError:
        """The error of a command that another one has overtaken, with who did."""
        return self._journal.lost(self.lock, self.entity)

    def end(self) -> LockLostError | None:
        """Stop renewing and let the lock go; the error when another command had taken it."""
        self._ended.set()
        self._thread.join(LEASE)  # it may hang in a request
        released = self._journal.release(self.lock, self.entity)
        return None if released else self._journal.overtaken(self.lock, self.entity)

    def record(self, result: str, details: Mapping[str, Any]) -> None:
        """Add a line about the lock's command to the history, while the lock is ours."""
        lock = self.lock
        event = Event(entity=self.entity, command=lock.command, result=result, operator=lock.holder, details=details)
        self._journal.record(event, lock)

    def _renew(self) -> None:
        while not self._ended.wait(LEASE / RENEWALS):
            try:
                if not self.hung:  # else it expires, unless an answer comes before
                    self._extend()
            except LockLostError:
                self._lost.set()
                return
            except Exception:  # noqa: BLE001, S112  # a network fault now is no loss yet: the next renewal decides
                continue

    def _extend(self) -> None:
        with self._writing:
            extended = replace(
                self.lock, until=time.time() + LEASE, step=self._step, progress=self._progress[0], bound=self._bound
            )
            began = time.monotonic()
            self._journal.write(extended, self.entity, {"lock": extended})
            self.lock, self._renewed = extended, began


@contextmanager
def held(journal: Journal, entity: str, holder: str, command: str, *, take_over: bool = False) -> Generator[Lease]:
    """Hold the entity's lock for the block.

    Args:
        journal: where it stands.
        entity: the entity's name.
        holder: who holds it.
        command: what for.
        take_over: take it from a holder that may be at work; what that one does late is refused.

    Raises:
        RefusedError: when another operator holds it.
        PreconditionError: when the entity is not in the journal.
        LockLostError: another command took it before the end of the block, whatever the block reports.
    """
    lease = _taken(journal, entity, holder, command, take_over=take_over)
    try:
        yield lease
    except Exception as error:
        if (lost := lease.end()) and not isinstance(error, LockLostError):
            raise lost from error
        raise
    except BaseException:
        lease.end()
        raise
    if lost := lease.end():
        raise lost


def _taken(journal: Journal, entity: str, holder: str, command: str, *, take_over: bool) -> Lease:
    state, taken, now = journal.state(entity), time.monotonic(), time.time()
    lock = Lock(
        id=uuid.uuid4().hex,
        holder=holder,
        command=command,
        process=this_process(),
        until=now + LEASE,
        since=now,
        progress=now,
        bound=STEP_SECONDS,
    )
    before = state.lock
    old = before.id if before and (take_over or is_dead(before.process)) else lock.id
    event = _taken_over(before, lock, state) if before and (before.id == old or before.until < now) else None
    if not journal.take(lock, entity, old, now, event):
        raise _refusal(journal.state(entity).lock, entity)
    state = journal.state(entity)
    if state.lock is None or state.lock.id != lock.id:
        raise _refusal(state.lock, entity)
    return Lease(journal, entity, replace(lock, token=state.token), taken)


@contextmanager
def held_when_free(journal: Journal, entity: str, holder: str, command: str, timeout: float) -> Generator[Lease]:
    """Hold a lock as soon as the present holder has released it.

    Raises:
        RefusedError: it is still held after `timeout` seconds.
    """
    with ExitStack() as stack:
        yield retry(
            lambda: stack.enter_context(held(journal, entity, holder, command)),
            RefusedError,
            timeout=timeout,
            first=RETRY_SECONDS,
            longest=RETRY_SECONDS,
        )


@contextmanager
def held_canary(journal: Journal, lock: Lock, timeout: float) -> Generator[Lease]:
    """Hold the lock of the API's canary, which all entities of the stack share, beside the lock of an entity.

    It stands in the journal under a name that no entity can have, and is made when it is first used.
    """
    if journal.find(CANARY) is None:
        made = Event(entity=CANARY, command=lock.command, result="first used", operator=lock.holder)
        journal.create(CANARY, "", made)
    with held_when_free(journal, CANARY, lock.holder, lock.command, timeout) as lease:
        yield lease


def _taken_over(before: Lock, lock: Lock, state: State) -> Event:
    details = {
        "from": before.holder,
        "its_command": before.command,
        "its_step": before.step,
        "its_lease_ends": _moment(before.until),
        "its_token": state.token,
    }
    kept = {name: value for name, value in details.items() if value != ""}
    return Event(
        entity=state.entity, command=lock.command, result="lock taken over", operator=lock.holder, details=kept
    )


def describe(lock: Lock) -> str:
    """Who holds a lock, with which command, since when and at which step, and how long it has made no progress."""
    since = f" since {_moment(lock.since)}" if lock.since else ""
    step = f", at step {lock.step}" if lock.step else ""
    quiet = time.time() - lock.progress
    idle = f", without progress for {quiet:.0f} s" if lock.progress and quiet > LEASE / RENEWALS + QUIET_SECONDS else ""
    return f"{lock.holder} runs `{lock.command}`{since}{step}{idle}"


def _refusal(lock: Lock | None, entity: str) -> RefusedError:
    if lock is None:
        return RefusedError(f"{entity} was locked by another operator a moment ago", "Run the command again.")
    left = max(1, round(lock.until - time.time()))
    hung = max(left, round(lock.progress + lock.bound + LEASE - time.time()))
    return RefusedError(
        f"{entity} is locked: {describe(lock)}",
        f"Wait for it to end. The lock is free in {left} s if its machine is gone, and in {hung} s at most if it makes "
        "no progress. To end it now, run the command again with --take-over: what the other one does late is refused.",
    )


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def this_process() -> str:
    """This process, distinct from every other on this or another machine. `host|boot|pid namespace|pid|start`."""
    return f"{_machine()}|{os.getpid()}|{_started(os.getpid())}"


def is_dead(process: str) -> bool:
    """Whether that process surely ended: it was on this very machine and is not there now.

    On another machine that cannot be known.
    """
    machine, _, rest = process.rpartition("|")
    machine, _, pid = machine.rpartition("|")
    return machine == _machine() and pid.isdigit() and _started(int(pid)) != rest


def _machine() -> str:
    boot = _first_line(Path("/proc/sys/kernel/random/boot_id")) or f"{uuid.getnode():x}"
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = "-"
    return f"{socket.gethostname()}|{boot}|{namespace}"


def _started(pid: int) -> str:
    """When the process began, in the kernel's clock ticks.

    "-" where the system does not say, "gone" when it is not there.
    """
    stat = _first_line(Path(f"/proc/{pid}/stat"))
    if stat:
        state, start = (fields := stat.rpartition(")")[2].split())[0], fields[19]
        return "gone" if state == "Z" else start
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except PermissionError:
        return "-"
    return "-"


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0]
    except OSError:
        return ""
