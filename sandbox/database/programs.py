"""A database server's programs, and what both products share in finding or fetching them."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from pathlib import Path

SYSTEM_FOLDERS = ("/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin", "/usr/libexec")
LIBRARIES = ("usr/lib/*-linux-gnu*", "usr/lib/mysql/private", "lib/*-linux-gnu*")
LOCK_TIMEOUT = 120  # seconds that apt waits for another one's lock


@dataclass(frozen=True)
class Programs:
    """Where a server's programs and libraries are.

    Attributes:
        root: the folder that stands for `/` of an unpacked one; None for the machine's own.
        loader: starts the server where it was built for a newer C library than the machine's; it was unpacked too.
    """

    server: Path
    root: Path | None = None
    loader: Path | None = None

    @property
    def command(self) -> list[str]:
        """The words that start the server; options follow."""
        if self.loader is None:
            return [str(self.server)]
        return [str(self.loader), "--library-path", self._libraries, str(self.server)]

    @property
    def environment(self) -> dict[str, str]:
        if self.root is None or self.loader is not None:
            return dict(os.environ)
        return {**os.environ, "LD_LIBRARY_PATH": self._libraries}

    @property
    def base(self) -> Path:
        """The installation's prefix."""
        return self.root / "usr" if self.root else self.server.parent.parent

    @property
    def _libraries(self) -> str:
        root = self.root or Path("/")
        return ":".join(str(folder) for pattern in LIBRARIES for folder in sorted(root.glob(pattern)))


def on_path(name: str) -> Path | None:
    """The program of this name on the PATH or in a folder for servers."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_FOLDERS)))
    return Path(found).resolve() if found else None


@contextlib.contextmanager
def alone(cache: Path) -> Generator[None]:
    """Be the only process that changes the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def apt(*arguments: str, folder: Path | None = None) -> str:
    """Run apt-get; returns its last words when it failed."""
    done = run_apt(*arguments, folder=folder)
    if not done.returncode:
        return ""
    return ((done.stderr.strip() or done.stdout.strip()).splitlines() or ["apt-get failed"])[-1]


def run_apt(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT}", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    return subprocess.run(  # noqa: S603  # fixed words
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def unpack(archives: Iterable[Path], root: Path) -> None:
    for archive in sorted(archives):
        subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True)  # noqa: S603, S607
