"""Runs MiniStack in this process with every gap filled, until it is told to stop."""

# pyright: basic
# MiniStack, hypercorn and PyMySQL's inner parts have no types that a strict check could use.
from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any, cast

from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config

if TYPE_CHECKING:
    from pathlib import Path

THREADS = "256"  # function calls at a time, nested ones included: the caller holds its own while it waits
KEEP_ALIVE = 75  # seconds; longer than boto3 keeps a connection


def serve(socket: Path, port: int) -> None:
    """Serve on 127.0.0.1:`port` with IAM enforcement, MariaDB's `socket` behind the Data API; returns after SIGTERM."""
    os.environ.update(
        AUTH="true", GATEWAY_PORT=str(port), MINISTACK_PORT=str(port), MINISTACK_WORKER_THREADS=THREADS
    )
    asyncio.run(_serve(_application(socket), port))


def _application(socket: Path) -> Any:
    from ministack import app  # noqa: PLC0415  # it reads the environment when imported

    from sandbox.emulator import (  # noqa: PLC0415  # likewise
        births,
        canary,
        cold_starts,
        data_api,
        deployments,
        filters,
        lambda_permissions,
        lambda_runtime,
        metrics,
        stage_variables,
        stream_mapping,
        throttling,
    )

    data_api.install(socket)
    for gap in (
        deployments,
        lambda_permissions,
        stage_variables,
        canary,
        filters,
        stream_mapping,
        lambda_runtime,
        births,
        cold_starts,
        metrics,
    ):
        gap.install()
    return throttling.wrapped(cast("Any", app).app)


async def _serve(application: Any, port: int) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = KEEP_ALIVE
    config.loglevel = "WARNING"
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    await hypercorn_serve(application, config, shutdown_trigger=cast("Any", over.wait))
