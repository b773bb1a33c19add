"""A database server's port on 127.0.0.1 and its certificate, by an authority of the sandbox's own."""

import random
import socket
from pathlib import Path

import trustme

from sandbox.errors import SandboxError

ADDRESS = "127.0.0.1"
PORTS = range(15_000, 32_000)  # below those that Linux gives to clients, so that it is free after a restart, too
ATTEMPTS = 100
# Who may do all has no password. Others on this machine reach the port, but not the socket.
ROOT_BY_SOCKET_ONLY = f"DROP USER IF EXISTS 'root'@'{ADDRESS}', 'root'@'::1', ''@'{ADDRESS}', ''@'%';\n"


def certify(folder: Path, authority: Path) -> None:
    """Make a certificate for ADDRESS in the folder, and write that of the authority that signed it."""
    made = trustme.CA()
    certificate = made.issue_cert(ADDRESS)
    made.cert_pem.write_to_path(authority)
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "key.pem").chmod(0o600)
    (folder / "certificate.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (folder / "init.sql").write_text(ROOT_BY_SOCKET_ONLY, encoding="ascii")


def options(folder: Path, authority: Path) -> list[str]:
    """What makes a server take encrypted connections on ADDRESS, and no others but on its socket."""
    return [
        f"--bind-address={ADDRESS}",
        f"--ssl-ca={authority}",
        f"--ssl-cert={folder / 'certificate.pem'}",
        f"--ssl-key={folder / 'key.pem'}",
        "--require-secure-transport=ON",
        f"--init-file={folder / 'init.sql'}",
    ]


def free_port() -> int:
    """A port that no program uses now.

    Raises:
        SandboxError: all that were tried are in use.
    """
    for port in random.sample(PORTS, ATTEMPTS):
        with socket.socket() as listener:
            try:
                listener.bind((ADDRESS, port))
            except OSError:
                continue
            return port
    raise SandboxError(f"No port of {ADDRESS} between {PORTS.start} and {PORTS.stop} is free for the database.")
