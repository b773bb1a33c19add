"""Where a sandbox keeps its files, who runs it, and who may change it at one time."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO, TypeVar

import psutil

from sandbox.errors import SandboxError

PROJECT = Path(__file__).resolve().parents[1]
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
CACHE = "cache"  # the folder beside the sandboxes with what all of them use


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """The process that serves a sandbox.

    Args:
        pid, created: which process; a pid alone may have been given to another since.
        port: where it listens, on 127.0.0.1.
    """

    pid: int
    created: float
    port: int

    @property
    def endpoint(self) -> str:
        """The URL of everything it serves."""
        return f"http://127.0.0.1:{self.port}"


class Folder:
    """The files of one sandbox: `.sandbox/<name>/` in the project's folder.

    Args:
        path: the folder.
        cache: what all sandboxes share and `down` keeps: programs that were unpacked or built; beside it by default.
    """

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self.path = path
        self.name = path.name
        self.resources = path / "state.json"
        self.outputs = path / "outputs.json"  # the stack's outputs and the address: all that the runbook needs
        self.settings = path / "settings.json"  # the options of the last `up`; `reset` repeats it
        self.server_log = path / "server.log"
        self.engine_log = path / "engine.log"  # what the last run of the program printed
        self.temporary = path / "tmp"  # the daemon's TMPDIR: its functions' code and whatever else it unpacks
        self.database = path / "database"
        self.cache = cache or path.parent / CACHE

    @classmethod
    def of(cls, name: str, root: Path | None = None) -> Folder:
        """The folder of the sandbox called `name`, which need not exist.

        Raises:
            SandboxError: the name cannot be a folder's.
        """
        if not NAME.fullmatch(name) or name == CACHE:
            raise SandboxError(
                f"{name!r} cannot name a sandbox: use lower-case letters, digits and dashes, and not {CACHE!r}."
            )
        return cls((root or default_root()) / name)

    def daemon(self) -> Daemon | None:
        """The daemon, if it is alive and really this sandbox's."""
        with contextlib.suppress(FileNotFoundError, ValueError, TypeError, psutil.NoSuchProcess):
            daemon = Daemon(**json.loads((self.path / "daemon.json").read_text(encoding="utf-8")))
            process = psutil.Process(daemon.pid)
            same = abs(process.create_time() - daemon.created) < 1 and str(self.path) in process.cmdline()
            return daemon if same and process.status() != psutil.STATUS_ZOMBIE else None
        return None

    def write_daemon(self, daemon: Daemon) -> None:
        write_json(self.path / "daemon.json", asdict(daemon))

    def wipe(self) -> None:
        """Remove all that is in the folder but the lock that the caller holds."""
        for entry in self.path.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()

    def remove(self) -> None:
        """Remove the folder, whose lock the caller holds.

        It gets another place first: once the lock is gone, another process may make the folder anew.
        """
        elsewhere = Path(tempfile.mkdtemp(prefix=".removed-", dir=self.path.parent))
        self.path.rename(elsewhere / "sandbox")
        shutil.rmtree(elsewhere)

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Hold the sandbox's lock, so that no other process brings it up or down meanwhile.

        Raises:
            SandboxError: another process holds it.
        """
        while True:
            with self._lock_file() as lock:
                self._take(lock.fileno())
                if self._is_current(lock.fileno()):
                    yield
                    return

    def _lock_file(self) -> TextIO:
        while True:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                return (self.path / "lock").open("w")
            except (FileNotFoundError, FileExistsError):  # a `down` removed the folder between two calls
                if self.path.is_file():
                    raise

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(
                f"Another process is changing the sandbox {self.name!r}. Try again when it is done."
            ) from None

    def _is_current(self, lock: int) -> bool:
        """Whether the locked file is still the one in the folder (a `down` may just have removed it)."""
        try:
            return os.fstat(lock).st_ino == (self.path / "lock").stat().st_ino
        except FileNotFoundError:
            return False


def option(name: str) -> str:
    """The option that names a sandbox to the command `sandbox`, after a space; empty for the default one."""
    return "" if name == "default" else f" --name {name}"


def default_root() -> Path:
    """The folder of all sandboxes; STREAMBACK_SANDBOXES names another than `.sandbox` in the project."""
    return Path(os.environ.get("STREAMBACK_SANDBOXES") or PROJECT / ".sandbox").resolve()


def names(root: Path | None = None) -> list[str]:
    found = {path.parent.name for path in (root or default_root()).glob("*/lock")}
    return sorted(found - {CACHE})  # unpacking the database's programs takes a lock, too


def set_current(folder: Folder) -> None:
    """Make this the sandbox that `runbook` uses by default."""
    (folder.path.parent / "current").write_text(f"{folder.name}\n", encoding="utf-8")


def current(root: Path | None = None) -> str:
    """The name of that sandbox; empty when there is none."""
    file = (root or default_root()) / "current"
    return file.read_text(encoding="utf-8").strip() if file.exists() else ""


def unset_current(folder: Folder) -> None:
    if current(folder.path.parent) == folder.name:
        (folder.path.parent / "current").unlink()


def read_json(path: Path) -> dict[str, Any]:
    """The document in the file; empty without the file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write the document whole or not at all, readable by its owner only: some hold keys."""
    draft = path.with_suffix(".tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
    draft.replace(path)


Chosen = TypeVar("Chosen", bound=StrEnum)


def of_environment(variable: str, otherwise: Chosen) -> Chosen:
    """What an environment variable names, of the same kind as `otherwise`, which is taken where it names nothing.

    Raises:
        SandboxError: it names something else.
    """
    kind, name = type(otherwise), os.environ.get(variable)
    try:
        return kind(name) if name else otherwise
    except ValueError:
        raise SandboxError(f"{variable} is {name!r}: set it to {' or '.join(kind)}.") from None
