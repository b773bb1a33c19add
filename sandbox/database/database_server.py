"""A private database server in a folder of its own: made, started, stopped, killed, from any process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import psutil
import pymysql

from sandbox import processes
from sandbox.database import tls
from sandbox.database.programs import Programs
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from pymysql import Connection

TIMEOUT = 60.0  # seconds for a start; a crash recovery takes one at most
OPTION_OF = {"time_zone": "default-time-zone"}  # where a variable and the option that sets it differ in name


class DatabaseServer(ABC):
    """One server; its data, socket, certificate, log and pid file are all in `folder`.

    Clients in the sandbox use the socket. On its port of 127.0.0.1 it takes encrypted connections only.

    Args:
        folder: its own; made when missing.
        cache: where an unpacked server is kept; beside the folder by default.
    """

    title: ClassVar[str]
    options: ClassVar[Sequence[str]]

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.folder = folder.resolve()
        self.cache = cache or self.folder.parent / "cache"
        self.socket = self.folder / "sock"
        self.log = self.folder / "error.log"
        self.authority = self.folder / "ca.pem"  # the certificate of the authority that signed the server's
        self._pid_file = self.folder / "pid"
        self._data = self.folder / "data"

    @abstractmethod
    def fetch(self) -> Programs:
        """Its programs; the first time they may have to be downloaded, which may take minutes.

        Raises:
            SandboxError: none can be had; it says what to do.
        """

    @property
    def port(self) -> int:
        """Its TCP port on 127.0.0.1, which it keeps."""
        return int((self.folder / "port").read_text(encoding="ascii"))

    def listen(self) -> None:
        """Choose its port and make its certificate. Nothing happens if it has both."""
        if not (self.folder / "port").exists():
            self._prepare_folder()
            tls.certify(self.folder, self.authority)
            (self.folder / "port").write_text(str(tls.free_port()), encoding="ascii")

    @abstractmethod
    def _initialise(self, programs: Programs) -> None:
        """Make the data in `_data`, which does not exist."""

    def start(self) -> None:
        """Start it, making its data first; returns when it takes connections. Nothing happens if it runs.

        Raises:
            SandboxError: it does not come up; the text has the last lines of its log.
        """
        if self.running():
            return
        programs = self.fetch()
        self.listen()
        if not (self._data / "mysql").is_dir():
            self._prepare_folder()
            self._initialise(programs)
        for left in (self.socket, self.folder / "sock.lock"):  # by one that was killed
            left.unlink(missing_ok=True)
        process = subprocess.Popen(  # noqa: S603  # our own arguments
            self._command(programs),
            env=programs.environment,
            stdout=subprocess.DEVNULL,
            stderr=self.log.open("ab"),
            start_new_session=True,
        )
        self._pid_file.write_text(str(process.pid), encoding="ascii")
        self._wait_until_up(process)

    def stop(self) -> None:
        """Stop it in order; returns when it is gone. Nothing happens if it does not run."""
        process = self._process()
        if process is None:
            return
        processes.end(process, TIMEOUT)
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        process = self._process()
        if process is not None:
            process.kill()
            processes.wait(process, TIMEOUT)

    def running(self) -> bool:
        return self._process() is not None

    def connect(self, user: str = "root", password: str = "", database: str | None = None) -> Connection:
        """A connection with autocommit, as root by default."""
        return pymysql.connect(
            unix_socket=str(self.socket),
            user=user,
            password=password,
            database=database,
            autocommit=True,
            charset="utf8mb4",
            ssl_disabled=True,  # a TLS context costs 19 ms a connection, and the socket is local
        )

    def _process(self) -> psutil.Process | None:
        try:
            process = psutil.Process(int(self._pid_file.read_text(encoding="ascii")))
            ours = any(str(self.folder) in argument for argument in process.cmdline())
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else _reaped(process)
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None

    def _prepare_folder(self) -> None:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def _command(self, programs: Programs) -> list[str]:
        return [
            *programs.command,
            "--no-defaults",
            f"--basedir={programs.base}",
            f"--datadir={self._data}",
            f"--tmpdir={self.folder / 'tmp'}",
            f"--socket={self.socket}",
            f"--log-error={self.log}",
            *user(),
            *tls.options(self.folder, self.authority),
            f"--port={self.port}",
            *self.options,
            *self._chosen_parameters(),
        ]

    def _chosen_parameters(self) -> list[str]:
        """What the parameter groups set (sandbox/emulator/behaviour/parameter_group.py)."""
        file = self.folder / "parameters.json"
        found: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return [f"--loose-{OPTION_OF.get(name, name)}={value}" for name, value in found.items()]

    def _wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            with contextlib.suppress(pymysql.err.MySQLError):
                self.connect().close()
                return
            time.sleep(0.02)
        process.kill()
        said = last_lines(self.log.read_text(encoding="utf-8", errors="replace"))
        raise SandboxError(f"{self.title} did not start: {said} (see {self.log})")


def user() -> list[str]:
    # The server refuses to run as root unless its user is given by name.
    return ["--user=root"] if os.geteuid() == 0 else []


def last_lines(text: str, count: int = 3) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:])


def _reaped(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
        process.wait(0)
