"""Finds MySQL's server (Oracle's, not MariaDB's) on this machine, or unpacks one without installing anything.

Ubuntu has packages of it. Of Debian only the unstable suite has one, built for a newer C library than the machine's:
so it is unpacked with every library that it needs, and started by its own loader.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from sandbox.database.programs import Programs, alone, apt, on_path, run_apt, unpack
from sandbox.errors import SandboxError

PACKAGES = ("mysql-server-core-8.0", "mysql-server-core-8.4", "mysql-server-core")  # Aurora MySQL 3 is 8.0
NEEDED = ("mysql-server-core", "lib")  # what the names of packages begin with that hold the server or a library
LOADERS = ("usr/lib/*-linux-gnu*/ld-linux*.so.*", "lib/*-linux-gnu*/ld-linux*.so.*")
ORACLES = re.compile(r"Ver (?:[89]|\d\d)\.\d+\.\d+(?!\S*MariaDB)")  # 8.0 or newer
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TARGETS = ("indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages")
HELP = (
    "Install it with `apt-get install mysql-server` (Ubuntu), or put Oracle's mysqld 8.0 or newer on the PATH, "
    "or use `--database mariadb`."
)


def locate(cache: Path) -> Programs:
    """A MySQL server: on the machine, else unpacked below `cache`. Several processes may ask at once.

    Raises:
        SandboxError: none can be had; it says what to do.
    """
    if found := _here(cache):
        return found
    with alone(cache):
        return _here(cache) or _fetched(cache)


def _here(cache: Path) -> Programs | None:
    return _installed() or _unpacked(cache / "mysql")


def _installed() -> Programs | None:
    found = on_path("mysqld")
    return Programs(found) if found and ORACLES.search(version(Programs(found))) else None


def version(programs: Programs) -> str:
    """What the server says of itself; empty when it cannot be run."""
    command = [*programs.command, "--no-defaults", "--version"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # a server's path
    except OSError:
        return ""
    return done.stdout


def _unpacked(root: Path) -> Programs | None:
    root = root.resolve()
    server = root / "usr" / "sbin" / "mysqld"
    loaders = [path for pattern in LOADERS for path in sorted(root.glob(pattern))]
    return Programs(server, root, loaders[0]) if server.is_file() and loaders else None


def _fetched(cache: Path) -> Programs:
    if not shutil.which("apt-get"):
        raise SandboxError(f"MySQL's server is needed and not here, and this machine has no apt-get. {HELP}")
    with tempfile.TemporaryDirectory(dir=cache, prefix="packages-") as scratch:
        root = Path(scratch) / "root"
        root.mkdir()
        packages = Apt(Path(scratch) / "apt")
        said = packages.download()
        unpack((each for each in packages.archives() if each.name.startswith(NEEDED)), root)
        if _unpacked(root):
            root.rename(cache / "mysql")
    if found := _unpacked(cache / "mysql"):
        return found
    raise SandboxError(f"MySQL's server is needed and not here, and could not be fetched ({said}). {HELP}")


class Apt:
    """apt-get with lists, cache and status of its own.

    It knows of no installed package, and so brings every library. It changes nothing on the machine.

    Args:
        folder: its own; made here.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        settings = {
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "APT::Sandbox::User": "root",  # the folder is readable by its owner only
            "Debug::NoLocking": 1,  # an installing apt-get elsewhere is not disturbed
        }
        self._options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]

    def download(self) -> str:
        """Download the server and its libraries, from the machine's own sources or from Debian's unstable suite.

        Returns:
            The last words of apt-get when neither has it.
        """
        said = self._update()
        for package in PACKAGES:
            if not self._install(package):
                return ""
        uri = self._debian()
        if not uri:
            return said or "no source of this machine has it"
        self._use_unstable(uri)
        said = self._update()
        return self._install(PACKAGES[-1]) and (said or "Debian's unstable suite does not have it")

    def archives(self) -> list[Path]:
        return list((self._folder / "cache" / "archives").glob("*.deb"))

    def _update(self) -> str:
        return apt(*self._options, "update", "-qq")

    def _install(self, package: str) -> str:
        return apt(*self._options, "install", "-qq", "--yes", "--download-only", "--no-install-recommends", package)

    def _debian(self) -> str:
        """Debian's address in the machine's own sources; empty where these are not Debian's."""
        found = run_apt(*self._options, *TARGETS).stdout.splitlines()
        addresses = [line.rpartition("|")[2] for line in found if line.startswith("Debian|Debian|")]
        return addresses[0] if addresses else ""

    def _use_unstable(self, uri: str) -> None:
        signed = f"[signed-by={KEYRING}] " if KEYRING.is_file() else ""
        sources = self._folder / "unstable.list"
        sources.write_text(f"deb {signed}{uri} sid main\n", encoding="utf-8")
        self._options += ["-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-"]
