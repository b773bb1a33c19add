"""Takes the place of `python -m sandbox.engine`: `engine_client.py SOCKET` has forked_engine.py run the engine.

The engine gets this process's streams, and this process ends as the engine does.
"""

import os
import socket
import sys
import time

STREAMS = (0, 1, 2)
LONGEST = 60.0  # seconds until the server has imported Pulumi


def connected(path):
    """A connection to the server, which may still be starting."""
    deadline = time.monotonic() + LONGEST
    while True:
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(path)
        except OSError:
            server.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return server


def main():
    with connected(sys.argv[1]) as server:
        socket.send_fds(server, [os.fsencode(os.getcwd())], STREAMS)  # noqa: PTH109  # the import of pathlib takes longer
        return int(server.recv(8) or b"1")  # nothing: the engine was killed


if __name__ == "__main__":
    sys.exit(main())
