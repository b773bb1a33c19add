"""The process that Lambda's Python workers are forked from: what all of them import, it has imported once.

It is started by its path, and takes requests on the socket whose number is its argument: one message a worker, with the
three descriptors of its standard streams. It ends when the other side of the socket is closed.
"""

import functools
import gc
import importlib
import json
import os
import random
import runpy
import signal
import socket
import sys
import traceback
from typing import Any

PRELOADED = (
    "aws_lambda_powertools",
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.metrics",
    "boto3.session",
    "botocore.args",
    "botocore.auth",
    "botocore.client",
    "botocore.credentials",
    "botocore.endpoint",
    "botocore.handlers",
    "botocore.parsers",
    "botocore.regions",
    "botocore.retries.standard",
    "botocore.serialize",
    "botocore.session",
    "botocore.waiter",
    "tomllib",
)
DESCRIBED = ("dynamodb", "lambda", "rds-data", "s3")  # services whose descriptions the functions read
LONGEST = 1 << 20  # bytes of a request
STREAMS = 3
CLOCK = "STREAMBACK_CLOCK_SCRIPT"  # names the file that moves the clock (behaviour/skewed_clock.py)


def _read_descriptions() -> None:
    """Read what boto3 knows of the services, once for all: each worker's first client would take 50 ms over it."""
    import boto3.session  # noqa: PLC0415  # only now: this file is started without the project's path
    import botocore.session  # noqa: PLC0415
    from botocore.useragent import UserAgentString  # noqa: PLC0415  # likewise

    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    # The User-Agent header is put together anew for each request, which takes a twentieth of its time here.
    UserAgentString.to_string = functools.cache(UserAgentString.to_string)
    session = boto3.session.Session("none", "none", region_name="us-east-1")
    for service in DESCRIBED:
        session.client(service)


def main() -> None:
    """Serve until the socket is closed."""
    sys.path[0] = ""  # where this file is, is no place for a function's imports
    sys.path.remove("")
    for name in PRELOADED:
        importlib.import_module(name)
    _read_descriptions()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the workers; the emulator watches them itself
    connection = socket.socket(fileno=int(sys.argv[1]))
    while True:
        message, streams, _, _ = socket.recv_fds(connection, LONGEST, STREAMS)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            connection.close()
            _live(json.loads(message), streams)
        for each in streams:
            os.close(each)
        connection.send(str(pid).encode())


def _live(request: dict[str, Any], streams: list[int]) -> None:
    """Become the worker; never returns."""
    code = 1
    try:
        _become(request, streams)
        runpy.run_path(request["script"], run_name="__main__")
        code = 0
    except BaseException:  # noqa: BLE001  # nothing of the fork server's own may run after it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _become(request: dict[str, Any], streams: list[int]) -> None:
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    random.seed()
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["script"]]
    if CLOCK in os.environ:
        runpy.run_path(os.environ[CLOCK])["move_by_environment"]()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # the worker's until it ends
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # likewise
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115  # likewise


if __name__ == "__main__":
    main()
