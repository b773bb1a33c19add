"""The daemon of one sandbox: the database as its child, the emulator in its own process. Started by daemon.py.

Usage: python -m sandbox.server FOLDER PORT
"""

import logging
import sys
from pathlib import Path

from sandbox.database import product
from sandbox.emulator.server import serve
from sandbox.errors import SandboxError
from sandbox.state import Folder


def main(path: Path, port: int) -> None:
    """Serve until SIGTERM; what MiniStack holds is gone then, and the database has no use without it."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    folder = Folder(path)
    database = product.server(folder)
    try:
        database.start()
    except SandboxError as error:
        sys.exit(str(error))  # the last line of the log, which the process that started this shows
    try:
        serve(database.socket, port)
    finally:
        database.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
