"""A private MariaDB in a folder of its own: made, started, stopped, killed, from any process."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pymysql

from sandbox import processes
from sandbox.database.programs import HELP, Programs, locate
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from pymysql import Connection

TIMEOUT = 60.0  # seconds for a start; a crash recovery takes 0.2
SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
OPTIONS = (
    "--skip-networking",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--log-bin-trust-function-creators=1",
    "--performance-schema=OFF",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_unicode_520_ci",
    "--transaction-isolation=REPEATABLE-READ",
    "--default-time-zone=+00:00",
    f"--sql-mode={SQL_MODE}",
    "--innodb-autoinc-lock-mode=2",  # Aurora MySQL 3's default
    "--innodb-flush-log-at-trx-commit=1",  # an acknowledged commit survives kill -9
    "--innodb-buffer-pool-size=128M",
    "--max-connections=400",
    "--max-allowed-packet=64M",
)


class MariaDB:
    """One server; its data, socket, log and pid file are all in `folder`.

    Args:
        folder: its own; made when missing.
        cache: where an unpacked server is kept; beside the folder by default.
    """

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.folder = folder.resolve()
        self.cache = cache or self.folder.parent / "cache"
        self.socket = self.folder / "sock"
        self.log = self.folder / "error.log"
        self._pid_file = self.folder / "pid"
        self._data = self.folder / "data"

    def start(self) -> None:
        """Start it, making its data first; returns when it takes connections. Nothing happens if it runs.

        Raises:
            SandboxError: it does not come up; the text has the last lines of its log.
        """
        if self.running():
            return
        programs = locate(self.cache)
        if not (self._data / "mysql").is_dir():
            self._initialise(programs)
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
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

    def _initialise(self, programs: Programs) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._data.mkdir()
        _own(self.folder)
        script = self._script(programs)
        command = [
            str(script),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--basedir={programs.base}",
            "--auth-root-authentication-method=normal",
            "--force",  # a minimal machine may not know its own name
            "--skip-test-db",
            *_user(),
        ]
        done = subprocess.run(command, env=programs.environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise SandboxError(f"MariaDB could not make its data: {_last_lines(done.stdout + done.stderr, 8)}")

    @staticmethod
    def _script(programs: Programs) -> Path:
        for folder in (programs.base / "bin", programs.base / "scripts"):
            for name in ("mariadb-install-db", "mysql_install_db"):
                if (folder / name).is_file():
                    return folder / name
        raise SandboxError(f"{programs.base} has mariadbd but not mariadb-install-db. {HELP}")

    def _command(self, programs: Programs) -> Sequence[str]:
        return [
            str(programs.server),
            "--no-defaults",
            f"--basedir={programs.base}",
            f"--datadir={self._data}",
            f"--tmpdir={self.folder / 'tmp'}",
            f"--socket={self.socket}",
            f"--log-error={self.log}",
            *_user(),
            *OPTIONS,
        ]

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
        raise SandboxError(
            f"MariaDB did not start: {_last_lines(self.log.read_text(errors='replace'))} (see {self.log})"
        )


def _user() -> list[str]:
    # mariadbd refuses to run as root unless its user is given by name.
    return ["--user=root"] if os.geteuid() == 0 else []


def _own(folder: Path) -> None:
    folder.chmod(0o700)


def _reaped(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
        process.wait(0)


def _last_lines(text: str, count: int = 3) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:])
