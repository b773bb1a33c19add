"""The daemon of one sandbox: the database as its child, the emulator in its own process. Started by daemon.py.

Usage: python -m sandbox.server FOLDER PORT
"""

import logging
import sys
from pathlib import Path

from sandbox.database import product, tls
from sandbox.emulator.behaviour import data_api_traits
from sandbox.emulator.behaviour.latency import Latency
from sandbox.emulator.server import Database, serve
from sandbox.errors import SandboxError
from sandbox.state import Folder, read_json


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
        settings = read_json(folder.settings)
        traits, delays = data_api_traits.parse(settings["data_api"]), Latency(settings["latency"])
        serve(Database(socket=database.socket, address=tls.ADDRESS, port=database.port), port, traits, delays)
    finally:
        database.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
