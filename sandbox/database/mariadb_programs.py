"""Finds MariaDB's programs on this machine, or brings them: installed as root, else unpacked without being root."""

import os
import shutil
import tempfile
from pathlib import Path

from sandbox.database.programs import Programs, alone, apt, on_path, unpack
from sandbox.errors import SandboxError

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


def locate(cache: Path) -> Programs:
    """A MariaDB server: on the machine, else installed with apt as root, else unpacked below `cache` without root.

    Several processes may ask at once; one of them brings it.

    Raises:
        SandboxError: none can be had; it says what to install.
    """
    if found := _here(cache):
        return found
    with alone(cache):
        return _here(cache) or _brought(cache)


def _here(cache: Path) -> Programs | None:
    return _installed() or _unpacked(cache)


def _installed() -> Programs | None:
    found = on_path("mariadbd")
    return Programs(found) if found else None


def _unpacked(cache: Path) -> Programs | None:
    root = cache / "mariadb"
    server = root / "usr" / "sbin" / "mariadbd"
    return Programs(server.resolve(), root.resolve()) if server.is_file() else None


def _brought(cache: Path) -> Programs:
    said = "this machine has no apt-get"
    if shutil.which("apt-get"):
        if os.geteuid() == 0:
            _install()
            if found := _installed():
                return found
        said = _fetch(cache)
        if found := _unpacked(cache):
            return found
    raise SandboxError(f"MariaDB's server is needed and not here, and could not be fetched ({said}). {HELP}")


def _install() -> None:
    """Install the server for the whole machine; what fails shows when it is looked for."""
    apt("update", "-qq")
    apt("install", "-y", "-qq", "--no-install-recommends", "mariadb-server-core", "mariadb-client-core")


def _fetch(cache: Path) -> str:
    """Unpack the server and its libraries from the distribution's packages, without installing anything.

    Returns:
        The last words of apt-get, for the case that there is no server afterwards.
    """
    with tempfile.TemporaryDirectory(dir=cache, prefix="packages-") as scratch:
        downloads, root = Path(scratch) / "downloads", Path(scratch) / "root"
        downloads.mkdir()
        root.mkdir()
        said = _download(downloads, Path(scratch) / "apt")
        unpack(downloads.glob("*.deb"), root)
        if (root / "usr" / "sbin" / "mariadbd").is_file():
            root.rename(cache / "mariadb")
    return said


def _download(folder: Path, lists: Path) -> str:
    """Download the packages by the machine's own lists, or by fresh ones where it has none or old ones."""
    needed, *others = PACKAGES
    options: list[str] = []
    said = apt("download", "-qq", needed, folder=folder)
    if said:
        for part in ("state/lists/partial", "cache/archives/partial"):
            (lists / part).mkdir(parents=True)
        options = [*("-o", f"Dir::State::lists={lists / 'state/lists'}"), *("-o", f"Dir::Cache={lists / 'cache'}")]
        apt(*options, "update", "-qq")
        said = apt(*options, "download", "-qq", needed, folder=folder)
    if not said:
        for package in others:
            # A name that this release does not have is no failure; a missing library shows at the first start.
            apt(*options, "download", "-qq", package, folder=folder)
    return said
