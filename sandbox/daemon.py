"""Starts and stops a sandbox's daemon, and clears away what a crash left behind."""

import contextlib
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import psutil

from functions.aws.retry import poll
from sandbox import processes
from sandbox.database import product
from sandbox.engine.aws import ACCOUNT, REGION
from sandbox.errors import SandboxError
from sandbox.state import PROJECT, Daemon, Folder

START = 120.0  # seconds; the first start makes the database's data
STOP = 10.0  # seconds until SIGTERM becomes SIGKILL
POLL = 0.05  # seconds
HEALTH = "/_ministack/health"
LAST_LINES = 5
SERVER = "sandbox.server"  # the daemon's module
LONGEST_SOCKET = 107  # characters in the path of a Unix socket on Linux


def start(folder: Folder) -> Daemon:
    """Start the daemon in the (empty) folder; returns when it serves.

    Raises:
        SandboxError: it does not come up; the text has the last lines of its log.
    """
    if len(str(folder.database / "sock")) > LONGEST_SOCKET:
        raise SandboxError(f"{folder.path} is too deep for a socket: name another folder in STREAMBACK_SANDBOXES.")
    folder.temporary.mkdir(exist_ok=True)
    port = _free_port()
    with folder.server_log.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-m", SERVER, str(folder.path), str(port)],
            cwd=PROJECT,
            env=_environment(folder, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    daemon = Daemon(pid=process.pid, created=psutil.Process(process.pid).create_time(), port=port)
    folder.write_daemon(daemon)
    _wait_until_up(folder, daemon, process)
    return daemon


def stop(folder: Folder) -> None:
    """Stop the daemon if it runs, its database, and whatever of the two is left of a crash.

    For a sandbox whose files go next: nothing is saved.
    """
    if daemon := folder.daemon():
        process = psutil.Process(daemon.pid)
        workers = process.children(recursive=True)
        processes.end(process, STOP)
        for worker in workers:
            processes.end(worker, STOP)
    product.server(folder).kill()
    for stray in _strays(folder):
        processes.end(stray, STOP)


def _strays(folder: Folder) -> Iterator[psutil.Process]:
    """A server in no state file, and workers that outlived theirs: found by their folder, which is the sandbox's."""
    workers = f"{folder.temporary}{os.sep}"
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            serves = SERVER in command and str(folder.path) in command
            if process.pid != os.getpid() and (serves or process.cwd().startswith(workers)):
                yield process


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _environment(folder: Folder, port: int) -> dict[str, str]:
    """The daemon's environment: none of the caller's AWS settings, IAM enforcement on, all files in the folder."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "PULUMI_"))}
    return {
        **inherited,
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "S3_DATA_DIR": str(folder.path / "s3"),
        "TMPDIR": str(folder.temporary),
        "PYTHONUNBUFFERED": "1",
    }


def _wait_until_up(folder: Folder, daemon: Daemon, process: subprocess.Popen[bytes]) -> None:
    poll(lambda: process.poll() is not None or healthy(daemon), timeout=START, first=POLL, longest=POLL)
    if process.poll() is None and healthy(daemon):
        return
    stop(folder)
    lines = folder.server_log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = "\n  ".join(lines[-LAST_LINES:]) or "it said nothing"
    raise SandboxError(f"The sandbox's server did not start. Its last words:\n  {said}")


def healthy(daemon: Daemon) -> bool:
    try:
        with urllib.request.urlopen(daemon.endpoint + HEALTH, timeout=2) as answer:  # noqa: S310  # our own URL
            return answer.status == 200  # noqa: PLR2004  # OK
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
