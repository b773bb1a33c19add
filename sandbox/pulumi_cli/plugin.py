"""Serves a plugin of the pulumi CLI: a program that prints the port of its gRPC server."""

import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc

LONGEST_MESSAGE = 400 * 1024 * 1024  # bytes; the engine's own limit
THREADS = 32
POLL = 1.0  # seconds


def serve(register: Callable[[grpc.Server], None]) -> None:
    """Serve what `register` adds, on a free port of the loopback, until the CLI has ended."""
    parent = os.getppid()
    signal.signal(signal.SIGINT, lambda _, __: os._exit(0))  # so the CLI ends its plugins
    sizes = [(f"grpc.max_{way}_message_length", LONGEST_MESSAGE) for way in ("send", "receive")]
    server = grpc.server(ThreadPoolExecutor(THREADS), options=sizes)
    register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while os.getppid() == parent and server.wait_for_termination(POLL):  # True: it has not ended
        pass
