"""Finds MariaDB's programs on this machine, or brings them: installed as root, else unpacked without being root."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError

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
    "libssl3",
    "libssl3t64",
)
HELP = "Install it with `apt-get install mariadb-server` (or put mariadbd on the PATH) and try again."
LOCK_TIMEOUT = 120  # seconds that apt waits for another one's lock


@dataclass(frozen=True)
class Programs:
    """Where a MariaDB's programs and libraries are.

    Attributes:
        root: the folder that stands for `/` of an unpacked one; None for the machine's own.
    """

    server: Path
    root: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        if self.root is None:
            return dict(os.environ)
        libraries = [str(folder) for folder in sorted(self.root.glob("usr/lib/*-linux-gnu*"))]
        libraries += [str(folder) for folder in sorted(self.root.glob("lib/*-linux-gnu*"))]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}

    @property
    def base(self) -> Path:
        """The installation's prefix."""
        return self.root / "usr" if self.root else self.server.parent.parent


def locate(cache: Path) -> Programs:
    """A MariaDB server: on the machine, else installed with apt as root, else unpacked below `cache` without root.

    Several processes may ask at once; one of them brings it.

    Raises:
        SandboxError: none can be had; it says what to install.
    """
    if found := _here(cache):
        return found
    with _alone(cache):
        return _here(cache) or _brought(cache)


def _here(cache: Path) -> Programs | None:
    return _installed() or _unpacked(cache)


def _installed() -> Programs | None:
    found = shutil.which("mariadbd", path=os.pathsep.join((os.environ.get("PATH", ""), *SYSTEM_FOLDERS)))
    return Programs(Path(found).resolve()) if found else None


def _unpacked(cache: Path) -> Programs | None:
    root = cache / "mariadb"
    server = root / "usr" / "sbin" / "mariadbd"
    return Programs(server.resolve(), root.resolve()) if server.is_file() else None


@contextlib.contextmanager
def _alone(cache: Path) -> Generator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _brought(cache: Path) -> Programs:
    said = "this machine has no apt-get"
    if shutil.which("apt-get"):
        if os.geteuid() == 0:
            _install()
            if found := _installed():
                return found
        said = unpack(cache)
        if found := _unpacked(cache):
            return found
    raise SandboxError(f"MariaDB's server is needed and not here, and could not be fetched ({said}). {HELP}")


def _install() -> None:
    """Install the server for the whole machine; what fails shows when it is looked for."""
    _apt("update", "-qq")
    _apt("install", "-y", "-qq", "--no-install-recommends", "mariadb-server-core", "mariadb-client-core")


def unpack(cache: Path) -> str:
    """Unpack the server and its libraries from the distribution's packages, without installing anything.

    Returns:
        The last words of apt-get, for the case that there is no server afterwards.
    """
    with tempfile.TemporaryDirectory(dir=cache, prefix="packages-") as scratch:
        downloads, root = Path(scratch) / "downloads", Path(scratch) / "root"
        downloads.mkdir()
        root.mkdir()
        said = _download(downloads, Path(scratch) / "apt")
        for archive in sorted(downloads.glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True)  # noqa: S603, S607
        if (root / "usr" / "sbin" / "mariadbd").is_file():
            root.rename(cache / "mariadb")
    return said


def _download(folder: Path, lists: Path) -> str:
    """Download the packages by the machine's own lists, or by fresh ones where it has none or old ones."""
    needed, *others = PACKAGES
    options: list[str] = []
    said = _apt("download", "-qq", needed, folder=folder)
    if said:
        for part in ("state/lists/partial", "cache/archives/partial"):
            (lists / part).mkdir(parents=True)
        options = [*("-o", f"Dir::State::lists={lists / 'state/lists'}"), *("-o", f"Dir::Cache={lists / 'cache'}")]
        _apt(*options, "update", "-qq")
        said = _apt(*options, "download", "-qq", needed, folder=folder)
    if not said:
        for package in others:
            # A name that this release does not have is no failure; a missing library shows at the first start.
            _apt(*options, "download", "-qq", package, folder=folder)
    return said


def _apt(*arguments: str, folder: Path | None = None) -> str:
    """Run apt-get; returns its last words when it failed."""
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT}", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    done = subprocess.run(  # noqa: S603  # fixed words
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if not done.returncode:
        return ""
    return ((done.stderr.strip() or done.stdout.strip()).splitlines() or ["apt-get failed"])[-1]
