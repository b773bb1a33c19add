"""Runs MiniStack in this process with every gap filled, until it is asked to stop."""

# pyright: basic
# MiniStack, uvicorn and PyMySQL's inner parts have no types that a strict check could use.
import asyncio
import contextlib
import os
import signal
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop

from sandbox.emulator.behaviour.data_api_traits import Traits
from sandbox.emulator.behaviour.latency import Latency

THREADS = "256"  # function calls at a time, nested ones included: the caller holds its own while it waits
GRACE = 2  # seconds for requests that are under way when it is asked to stop
KEEP_ALIVE = 75  # seconds; longer than boto3 keeps a connection


@dataclass(frozen=True, kw_only=True)
class Database:
    """The database behind the Data API: its socket, and where others reach it."""

    socket: Path
    address: str
    port: int


def serve(database: Database, port: int, traits: Traits, delays: Latency = Latency.NONE) -> None:
    """Serve on 127.0.0.1:`port` with IAM enforcement until SIGTERM."""
    os.environ.update(
        AUTH="true",
        GATEWAY_PORT=str(port),
        LAMBDA_ACCOUNT_CONCURRENCY=THREADS,  # why: the stock limit shrinks with memory, and copy's lanes hold theirs
        MINISTACK_PORT=str(port),
        MINISTACK_WORKER_THREADS=THREADS,
    )
    uvloop.run(_serve(_application(database, traits, delays), port))


def _application(database: Database, traits: Traits, delays: Latency) -> Any:
    from ministack import app  # noqa: PLC0415  # it reads the environment when imported

    from sandbox.emulator.behaviour import (  # noqa: PLC0415  # likewise
        alias_actions,
        canary,
        data_api,
        database_endpoint,
        deployments,
        encoded_paths,
        endpoint_kind,
        filters,
        lambda_permissions,
        latency,
        log_groups,
        metrics,
        oidc_providers,
        openapi_import,
        partiql,
        rds_instances,
        schedules,
        skewed_clock,
        stage_variables,
        state_machines,
        stream_mapping,
        streams,
        table_policies,
        throttling,
        unsure_calls,
        updates,
    )
    from sandbox.emulator.performance import cold_starts, forked_workers, lambda_runtime, scans, threads  # noqa: PLC0415  # likewise

    data_api.install(database.socket, traits)
    database_endpoint.install(database.address, database.port)
    for gap in (
        threads,
        rds_instances,
        deployments,
        openapi_import,
        lambda_permissions,
        alias_actions,
        encoded_paths,
        endpoint_kind,
        stage_variables,
        canary,
        filters,
        partiql,
        table_policies,
        stream_mapping,
        streams,
        lambda_runtime,
        forked_workers,
        cold_starts,
        skewed_clock,
        metrics,
        scans,
        schedules,
        oidc_providers,
        state_machines,
        log_groups,
        updates,
    ):
        gap.install()
    latency.install(delays)
    faulty = throttling.wrapped(latency.wrapped(encoded_paths.wrapped(cast("Any", app).app), delays))
    return skewed_clock.wrapped(unsure_calls.wrapped(table_policies.wrapped(faulty)))


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
