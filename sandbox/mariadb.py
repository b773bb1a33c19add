"""A private MariaDB in a folder of its own: found or fetched, started, stopped, killed, from any process."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pymysql

from sandbox import processes
from sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pymysql import Connection

SYSTEM_FOLDERS = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/libexec")
# What a server needs beyond a minimal Debian or Ubuntu; names differ between releases, and missing ones are left out.
PACKAGES = (
    "mariadb-server-core",
    "mariadb-client-core",
    "libmariadb3",
    "liburing2",
    "libaio1",
    "libaio1t64",
    "libnuma1",
    "libpmem1",
    "libedit2",
    "libncurses6",
    "libbsd0",
    "libmd0",
    "libpcre2-8-0",
    "libfmt9",
)
HELP = "Install it with `apt-get install mariadb-server` (or put mariadbd on the PATH) and try again."
PATIENCE = 60.0  # seconds for a start; a crash recovery takes 0.2
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


@dataclass(frozen=True)
class Binaries:
    """Where a MariaDB's programs and libraries are.

    Attributes:
        root: the folder that stands for `/` of an unpacked one; None for the machine's own.
    """

    server: Path
    root: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The environment to run the programs in."""
        if self.root is None:
            return dict(os.environ)
        libraries = [str(folder) for folder in sorted(self.root.glob("usr/lib/*-linux-gnu*"))]
        libraries += [str(folder) for folder in sorted(self.root.glob("lib/*-linux-gnu*"))]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}

    @property
    def base(self) -> Path:
        """The installation's prefix."""
        return self.root / "usr" if self.root else self.server.parent.parent


def locate(cache: Path) -> Binaries:
    """A MariaDB server: on the machine, else installed with apt as root, else unpacked below `cache` without root.

    Raises:
        SandboxError: none can be had; it says what to install.
    """
    found = _installed() or _unpacked(cache)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _apt("update", "-qq")
        _apt("install", "-y", "-qq", "--no-install-recommends", "mariadb-server-core", "mariadb-client-core")
        found = _installed()
    if found is None and shutil.which("apt-get") and shutil.which("dpkg"):
        _fetch(cache)
        found = _unpacked(cache)
    if found is None:
        raise SandboxError(f"MariaDB's server is needed and not here. {HELP}")
    return found


def _installed() -> Binaries | None:
    for folder in (*os.environ.get("PATH", "").split(":"), *SYSTEM_FOLDERS):
        server = Path(folder) / "mariadbd"
        if server.is_file() and os.access(server, os.X_OK):
            return Binaries(server.resolve())
    return None


def _unpacked(cache: Path) -> Binaries | None:
    root = cache / "mariadb"
    server = root / "usr" / "sbin" / "mariadbd"
    return Binaries(server.resolve(), root.resolve()) if server.is_file() else None


def _apt(*arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise SandboxError(f"`{' '.join(command)}` failed: {''.join(last)} {HELP}")


def _fetch(cache: Path) -> None:
    """Unpack the server and its libraries from the distribution's packages, without installing anything."""
    downloads, root = cache / "packages", cache / "mariadb.part"
    shutil.rmtree(root, ignore_errors=True)
    downloads.mkdir(parents=True, exist_ok=True)
    root.mkdir(parents=True)
    for package in PACKAGES:
        # A name that this release does not have is no failure; a library that is missing shows at the first start.
        command = ["apt-get", "download", "-qq", package]
        subprocess.run(command, cwd=downloads, capture_output=True, check=False)  # noqa: S603  # fixed words
    for archive in sorted(downloads.glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True)  # noqa: S603, S607
    if not (root / "usr" / "sbin" / "mariadbd").is_file():
        raise SandboxError(
            f"MariaDB's packages could not be downloaded. Run `apt-get update` as root, or: {HELP}"
        )
    root.rename(cache / "mariadb")
    shutil.rmtree(downloads)


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
        binaries = locate(self.cache)
        if not (self._data / "mysql").is_dir():
            self._initialise(binaries)
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        process = subprocess.Popen(  # noqa: S603  # our own arguments
            self._command(binaries),
            env=binaries.environment,
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
        processes.end(process, PATIENCE)
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill it as a crash would (SIGKILL)."""
        process = self._process()
        if process is not None:
            process.kill()
            processes.wait(process, PATIENCE)

    def running(self) -> bool:
        """Whether its process is alive."""
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
        """The process of the pid file, if it is really this server."""
        try:
            process = psutil.Process(int(self._pid_file.read_text(encoding="ascii")))
            ours = any(str(self.folder) in argument for argument in process.cmdline())
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else _reaped(process)
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None

    def _initialise(self, binaries: Binaries) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        self._data.mkdir()
        _own(self.folder)
        script = self._script(binaries)
        command = [
            str(script),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--basedir={binaries.base}",
            "--auth-root-authentication-method=normal",
            "--force",  # a minimal machine may not know its own name
            "--skip-test-db",
            *_user(),
        ]
        done = subprocess.run(command, env=binaries.environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise SandboxError(
                f"MariaDB could not make its data: {_last_lines(done.stdout + done.stderr, 8)}"
            )

    @staticmethod
    def _script(binaries: Binaries) -> Path:
        for folder in (binaries.base / "bin", binaries.base / "scripts"):
            for name in ("mariadb-install-db", "mysql_install_db"):
                if (folder / name).is_file():
                    return folder / name
        raise SandboxError(f"{binaries.base} has mariadbd but not mariadb-install-db. {HELP}")

    def _command(self, binaries: Binaries) -> Sequence[str]:
        return [
            str(binaries.server),
            "--no-defaults",
            f"--basedir={binaries.base}",
            f"--datadir={self._data}",
            f"--tmpdir={self.folder / 'tmp'}",
            f"--socket={self.socket}",
            f"--log-error={self.log}",
            *_user(),
            *OPTIONS,
        ]

    def _wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
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
    # mariadbd refuses to run as root unless told so by name.
    return ["--user=root"] if os.geteuid() == 0 else []


def _own(folder: Path) -> None:
    folder.chmod(0o700)


def _reaped(process: psutil.Process) -> None:
    """Collect a child of ours that has ended."""
    with contextlib.suppress(psutil.TimeoutExpired, psutil.NoSuchProcess):
        process.wait(0)


def _last_lines(text: str, count: int = 3) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:])
