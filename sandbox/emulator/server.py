"""Runs MiniStack in this process with every gap filled, until it is asked to stop."""

# pyright: basic
# MiniStack, uvicorn and PyMySQL's inner parts have no types that a strict check could use.
import asyncio
import contextlib
import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop

THREADS = "256"  # function calls at a time, nested ones included: the caller holds its own while it waits
GRACE = 2  # seconds for requests that are under way when it is asked to stop
KEEP_ALIVE = 75  # seconds; longer than boto3 keeps a connection


def serve(socket: Path, port: int) -> None:
    """Serve on 127.0.0.1:`port` with IAM enforcement until SIGTERM; the Data API runs SQL on the server at `socket`."""
    os.environ.update(
        AUTH="true",
        GATEWAY_PORT=str(port),
        LAMBDA_ACCOUNT_CONCURRENCY=THREADS,  # why: the stock limit shrinks with memory, and copy's lanes hold theirs
        MINISTACK_PORT=str(port),
        MINISTACK_WORKER_THREADS=THREADS,
    )
    uvloop.run(_serve(_application(socket), port))


def _application(socket: Path) -> Any:
    from ministack import app  # noqa: PLC0415  # it reads the environment when imported

    from sandbox.emulator.behaviour import (  # noqa: PLC0415  # likewise
        canary,
        data_api,
        deployments,
        encoded_paths,
        filters,
        lambda_permissions,
        metrics,
        partiql,
        schedules,
        skewed_clock,
        stage_variables,
        stream_mapping,
        streams,
        throttling,
        unsure_calls,
    )
    from sandbox.emulator.performance import cold_starts, forked_workers, lambda_runtime, scans, threads  # noqa: PLC0415  # likewise

    data_api.install(socket)
    for gap in (
        threads,
        deployments,
        lambda_permissions,
        encoded_paths,
        stage_variables,
        canary,
        filters,
        partiql,
        stream_mapping,
        streams,
        lambda_runtime,
        forked_workers,
        cold_starts,
        skewed_clock,
        metrics,
        scans,
        schedules,
    ):
        gap.install()
    faulty = throttling.wrapped(encoded_paths.wrapped(cast("Any", app).app))
    return skewed_clock.wrapped(unsure_calls.wrapped(faulty))


class _Server(uvicorn.Server):
    """Ends with success when it is asked to end; uvicorn's own would end by the signal itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop at SIGTERM and SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.handle_exit, number, None)
        yield


async def _serve(application: Any, port: int) -> None:
    server = _Server(
        uvicorn.Config(
            application,
            host="127.0.0.1",
            port=port,
            http="httptools",
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
    )
    await server.serve()
