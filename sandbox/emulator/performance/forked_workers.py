"""Lambda's Python workers are forked from a process that has imported what they import.

On AWS a cold start takes place on a machine of its own. Here all of them share a few cores, and Python's start with
boto3 takes half a second of one: a burst of requests would wait for nothing else. This file can go when MiniStack
forks its workers.
"""
# pyright: basic

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime as runtime

from sandbox.emulator.patching import check_version

FORK_SERVER = Path(__file__).with_name("fork_server.py")
WORKER = "_worker.py"


def install() -> None:
    check_version("performance/forked_workers")
    runtime.subprocess = ForkingSubprocess()  # pyright: ignore[reportAttributeAccessIssue]  # it uses Popen and PIPE


class ForkingSubprocess:
    """Stands in for the module `subprocess`: Python workers come from the fork server, all else as ever."""

    def __init__(self) -> None:
        self._fork_server = ForkServer()

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, command: list[str], **named: Any) -> Any:  # noqa: N802  # the name it stands in for
        """A process as `subprocess.Popen` makes it."""
        if len(command) == 2 and command[1].endswith(WORKER):  # noqa: PLR2004  # the interpreter and its script
            return self._fork_server.worker(command[1], named["cwd"], named["env"])
        return subprocess.Popen(command, **named)  # noqa: S603  # MiniStack's own command


class ForkServer:
    """The process that forks; started when first needed, and again should it have died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def worker(self, script: str, folder: str, environment: dict[str, str]) -> Worker:
        """A new worker that runs a script in a folder with just this environment."""
        request = json.dumps({"script": script, "folder": folder, "environment": environment}).encode()
        pairs = [os.pipe() for _ in range(3)]
        theirs = [pairs[0][0], pairs[1][1], pairs[2][1]]
        ours = [pairs[0][1], pairs[1][0], pairs[2][0]]
        try:
            pid = self._forked(request, theirs)
        except OSError:
            for each in ours:
                os.close(each)
            raise
        finally:
            for each in theirs:
                os.close(each)
        return Worker(pid, ours)

    def _forked(self, request: bytes, streams: list[int]) -> int:
        with self._lock:
            with contextlib.suppress(OSError):
                return self._ask(request, streams)
            self._start()  # it has died, or was never started
            return self._ask(request, streams)

    def _ask(self, request: bytes, streams: list[int]) -> int:
        if self._socket is None:
            raise OSError("there is no fork server yet")
        socket.send_fds(self._socket, [request], streams)
        answer = self._socket.recv(64)
        if not answer:
            raise OSError("the fork server has gone")
        return int(answer)

    def _start(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        number = theirs.fileno()
        self._process = subprocess.Popen(  # noqa: S603  # our own file
            [sys.executable, str(FORK_SERVER), str(number)], pass_fds=[number], stdin=subprocess.DEVNULL
        )
        theirs.close()


class Worker:
    """A worker that is no child of this process, with what MiniStack asks of a process.

    Args:
        pid: its process.
        streams: the other ends of its standard input, output and error.
    """

    def __init__(self, pid: int, streams: list[int]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin = os.fdopen(streams[0], "w", buffering=1, encoding="utf-8")
        self.stdout = os.fdopen(streams[1], encoding="utf-8")
        self.stderr = os.fdopen(streams[2], encoding="utf-8")
        try:
            self._pidfd: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._pidfd, self.returncode = None, 1

    def poll(self) -> int | None:
        """Its return code, of which only "ended" is known; None while it runs."""
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._pidfd is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _ended(self, seconds: float | None) -> int | None:
        if self._pidfd is None:
            return self.returncode
        watch = select.poll()  # descriptors may be more than select takes
        watch.register(self._pidfd, select.POLLIN)
        if not watch.poll(None if seconds is None else seconds * 1000):
            return None
        os.close(self._pidfd)
        self._pidfd, self.returncode = None, 1
        return self.returncode

    def __del__(self) -> None:
        if getattr(self, "_pidfd", None) is not None:
            os.close(self._pidfd)  # pyright: ignore[reportArgumentType]  # it is not None
            self._pidfd = None
