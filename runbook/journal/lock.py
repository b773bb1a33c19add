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
from pathlib import Path
from typing import Any

from functions.aws.retry import retry
from runbook.errors import LockLostError, RefusedError
from runbook.journal.journal import Event, Journal, Lock

LEASE = 30.0  # seconds; how long an operator whose machine died keeps others out
CANARY = "the canary of the API"  # the key of its lock in the journal
RETRY_SECONDS = 0.2
RENEWALS = 3  # renewals a lease, so that two may fail before it is lost


class Lease:
    """A lock that is held; a thread renews it until `end`.

    Args:
        lock: as it was written there.
        taken: monotonic seconds, before it was written; a machine's clock may be set, and may stop in its sleep.
    """

    def __init__(self, journal: Journal, entity: str, lock: Lock, taken: float) -> None:
        self.lock = lock
        self.entity = entity
        self._renewed = taken
        self._journal = journal
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease-{entity}", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Stop a holder that lost its lease, or could not renew it: its machine slept, or a request hung.

        Raises:
            LockLostError: when somebody else holds it now, or may hold it.
        """
        if time.time() > self.lock.until or time.monotonic() > self._renewed + LEASE:
            raise LockLostError(
                f"the lock on {self.entity} could not be renewed for {LEASE:.0f} s, so another operator may hold it",
                "See `runbook status`, then run the command again.",
            )
        if self._lost.is_set():
            raise LockLostError(f"the lock on {self.entity} was lost while this command ran", "See `runbook status`.")

    def end(self) -> None:
        """Stop renewing and let the lock go."""
        self._ended.set()
        self._thread.join()
        self._journal.release(self.lock, self.entity)

    def record(self, result: str, details: Mapping[str, Any]) -> None:
        """Add a line about the lock's command to the history."""
        lock = self.lock
        self._journal.record(
            Event(entity=self.entity, command=lock.command, result=result, operator=lock.holder, details=details)
        )

    def _renew(self) -> None:
        while not self._ended.wait(LEASE / RENEWALS):
            try:
                self._extend()
            except LockLostError:
                self._lost.set()
                return
            except Exception:  # noqa: BLE001, S112  # a network fault now is no loss yet: the next renewal decides
                continue

    def _extend(self) -> None:
        began, extended = time.monotonic(), replace(self.lock, until=time.time() + LEASE)
        self._journal.write(extended, self.entity, {"lock": extended})
        self.lock, self._renewed = extended, began


@contextmanager
def held(journal: Journal, entity: str, holder: str, command: str) -> Generator[Lease]:
    """Hold the entity's lock for the block.

    Raises:
        RefusedError: when another operator holds it.
        PreconditionError: when the entity is not in the journal.
    """
    state, taken = journal.state(entity), time.monotonic()
    lock = Lock(id=uuid.uuid4().hex, holder=holder, command=command, process=this_process(), until=time.time() + LEASE)
    dead = state.lock.id if state.lock and is_dead(state.lock.process) else lock.id
    if not journal.take(lock, entity, dead, time.time()):
        raise _refusal(journal.state(entity).lock, entity)
    lease = Lease(journal, entity, lock, taken)
    try:
        if state.lock and (state.lock.id == dead or state.lock.until < time.time()):
            journal.record(_taken_over(state.lock, lock, entity))
        yield lease
    finally:
        lease.end()


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


def _taken_over(before: Lock, lock: Lock, entity: str) -> Event:
    ended = datetime.fromtimestamp(before.until, UTC).isoformat(timespec="seconds")
    details = {"from": before.holder, "its_command": before.command, "its_lease_ends": ended}
    return Event(entity=entity, command=lock.command, result="lock taken over", operator=lock.holder, details=details)


def _refusal(lock: Lock | None, entity: str) -> RefusedError:
    if lock is None:
        return RefusedError(f"{entity} was locked by another operator a moment ago", "Run the command again.")
    left = max(1, round(lock.until - time.time()))
    return RefusedError(
        f"{entity} is locked: {lock.holder} runs `{lock.command}`",
        f"Wait for it to end. Should its machine be gone, the lock is free in {left} s.",
    )


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
