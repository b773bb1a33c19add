"""Up, preview, reset and down of a sandbox: what the command line, the demo and the tests use."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from functions.domain import names as words
from sandbox import daemon, deploy, state
from sandbox.database import product
from sandbox.database.database_server import DatabaseServer
from sandbox.database.product import Product
from sandbox.deploy import Report, Step
from sandbox.emulator.behaviour import data_api_traits, latency
from sandbox.emulator.behaviour.data_api_traits import Traits
from sandbox.emulator.behaviour.latency import Latency
from sandbox.engine.aws import Aws, create_operator
from sandbox.engine.state import State
from sandbox.errors import SandboxError
from sandbox.state import PROJECT, Daemon, Folder

SYSTEM_DATABASES = ("information_schema", "mysql", "performance_schema", "sys")


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is up.

    Args:
        location: where its files are.
        outputs: the stack's outputs, with endpointUrl, accessKeyId and secretAccessKey of the operator.
    """

    location: Folder
    outputs: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.location.name

    @property
    def folder(self) -> Path:
        return self.location.path

    @property
    def database(self) -> DatabaseServer:
        """The database behind the Data API."""
        return product.server(self.location)

    @property
    def data_api(self) -> str:
        """The Data API's traits, as text."""
        return _kept_traits(self.location)

    def client(self, service: str) -> Any:
        """A boto3 client, as the operator; made anew each time, so keep it."""
        found = self.outputs
        return Aws(found["endpointUrl"], found["accessKeyId"], found["secretAccessKey"]).client(service)

    def reset(self) -> Sandbox:
        """Make it as it was after `up` with no data and the routes back; the same one with its new outputs."""
        return reset(self.name)

    def down(self) -> None:
        down(self.name)


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is to be said of a sandbox at a glance.

    Args:
        name: what it is called.
        current: whether `runbook` uses it by default.
        pid: its server's; None when that is down.
        product: the database's.
        data_api: the Data API's traits.
        database: whether that runs.
        resources: how many the program made.
        api: the API's URL.
    """

    name: str
    current: bool
    pid: int | None
    product: Product
    data_api: str
    database: bool
    resources: int
    api: str


def up(  # noqa: PLR0913  # the program's inputs
    name: str = "default",
    config: Mapping[str, Any] | None = None,
    entities: Path | None = None,
    *,
    program: Path = PROJECT,
    database: Product | None = None,
    data_api: Traits | None = None,
    delays: Latency | None = None,
    current: bool = True,
    refresh: bool = False,
    report: Report | None = None,
) -> Sandbox:
    """Bring a sandbox up, or bring the one that is up to what the program now says.

    Args:
        name: what to call it; several can be up at once.
        config: the program's settings, by the names they have in Pulumi.<stack>.yaml.
        entities: the mapping to use; the project's entities.toml without it.
        program: the folder of the Pulumi program.
        database: the product in Aurora's place; without it the sandbox keeps the one that it has.
        data_api: what the Data API refuses and leaves out; without it the sandbox keeps what it has.
        delays: how long its calls take; without it the sandbox keeps what it has.
        current: whether `runbook` uses it by default.
        refresh: look at the tables first: something else may have changed their streams.
        report: called for each resource.

    Raises:
        SandboxError: it cannot be brought up; the text says why.
    """
    folder = Folder.of(name)
    with folder.locked():
        chosen = _product(folder, database)
        settings = {
            "config": _with_authority(folder, _settings(config, entities)),
            "program": str(program),
            "database": chosen,
            "data_api": data_api_traits.written(_traits(folder, data_api)),
            "latency": _latency(folder, delays),
        }
        served = _serve(folder, settings)
        sandbox = _deploy(folder, served, report, refresh=refresh)
    if current:
        state.set_current(folder)
    return sandbox


def preview(
    name: str = "default",
    config: Mapping[str, Any] | None = None,
    entities: Path | None = None,
    *,
    program: Path = PROJECT,
) -> list[Step]:
    """What `up` would do, resource by resource. Makes nothing and calls nothing, with or without a sandbox.

    Raises:
        SandboxError: the program cannot be run.
    """
    folder = Folder.of(name)
    resources, settings = folder.path / "none", _settings(config, entities)
    if folder.daemon():
        resources, settings = folder.resources, _with_authority(folder, settings)
    steps: list[Step] = []
    request = deploy.Request(program=program, state=resources, config=settings, preview=True)
    deploy.run(request, None, steps.append)
    return steps


def find(name: str = "default") -> Sandbox:
    """The sandbox that is up.

    Raises:
        SandboxError: there is none of this name.
    """
    folder = Folder.of(name)
    if folder.daemon() is None or not folder.outputs.exists():
        raise SandboxError(f"The sandbox {name!r} is not up. Bring it up with `sandbox up{_option(name)}`.")
    return Sandbox(folder, state.read_json(folder.outputs))


def reset(name: str = "default", report: Report | None = None) -> Sandbox:
    """Empty it: no databases, new tables and streams, empty buckets and secrets, the stage as the program has it.

    Functions, the API and the cluster stay as they are.

    Raises:
        SandboxError: it is not up.
    """
    find(name)
    folder = Folder.of(name)
    with folder.locked():
        served = folder.daemon()
        if served is None:
            raise SandboxError(f"The sandbox {name!r} has just gone down.")
        _drop_databases(product.server(folder))
        return _deploy(folder, served, report, anew=True)


def down(name: str = "default") -> bool:
    """Stop it and remove its files; whether there was anything."""
    folder = Folder.of(name)
    if not folder.path.exists():
        return False
    with folder.locked():
        daemon.stop(folder)
        state.unset_current(folder)
        shutil.rmtree(folder.path)
    return True


def statuses(name: str | None = None) -> list[Status]:
    """Every sandbox with a folder, or the one called `name`."""
    return [_status(Folder.of(found)) for found in state.names() if name in (None, found)]


def _status(folder: Folder) -> Status:
    served = folder.daemon()
    return Status(
        name=folder.name,
        current=state.current(folder.path.parent) == folder.name,
        pid=served.pid if served else None,
        product=product.kept(folder) or Product.MARIADB,
        data_api=_kept_traits(folder),
        database=product.server(folder).running(),
        resources=len(State.load(folder.resources).records),
        api=state.read_json(folder.outputs).get("apiUrl", "") if served else "",
    )


def _settings(config: Mapping[str, Any] | None, entities: Path | None) -> dict[str, Any]:
    chosen = {"entitiesFile": str(entities.resolve())} if entities else {}
    return {**chosen, **(config or {})}


def _with_authority(folder: Folder, settings: dict[str, Any]) -> dict[str, Any]:
    """The program's settings, and the authority that the database's certificate is checked by."""
    return {"databaseCaFile": str(product.server(folder).authority), **settings}


def _product(folder: Folder, asked: Product | None) -> Product:
    """The database product of a sandbox to be brought up."""
    has = product.kept(folder)
    if asked and has and asked != has and folder.daemon():
        raise SandboxError(
            f"The sandbox {folder.name!r} runs on {has.label}. To change that, take it down first with "
            f"`sandbox down{_option(folder.name)}`."
        )
    return asked or has or product.default()


def _traits(folder: Folder, asked: Traits | None) -> Traits:
    """The Data API's traits of a sandbox to be brought up."""
    text = _kept_traits(folder)
    if asked is None:
        return data_api_traits.parse(text) if text else data_api_traits.default()
    if text and asked != data_api_traits.parse(text) and folder.daemon():
        raise SandboxError(
            f"The sandbox {folder.name!r} has a Data API that is {text}. To change that, take it down first with "
            f"`sandbox down{_option(folder.name)}`."
        )
    return asked


def _latency(folder: Folder, asked: Latency | None) -> Latency:
    """How long the calls take of a sandbox to be brought up."""
    has: str | None = state.read_json(folder.settings).get("latency")
    if asked is None:
        return Latency(has) if has else latency.default()
    if has and asked != has and folder.daemon():
        raise SandboxError(
            f"The sandbox {folder.name!r} has the latency {has}. To change that, take it down first with "
            f"`sandbox down{_option(folder.name)}`."
        )
    return asked


def _kept_traits(folder: Folder) -> str:
    """The traits that the sandbox was brought up with, as text; empty where there is none."""
    return state.read_json(folder.settings).get("data_api", "")


def _serve(folder: Folder, settings: dict[str, Any]) -> Daemon:
    """The running daemon; a new one, with nothing in it, where there is none or where an `up` died half-way."""
    served = folder.daemon()
    interrupted = bool(State.load(folder.resources).creating)
    if served and not interrupted and daemon.healthy(served):
        state.write_json(folder.settings, settings)
        product.server(folder).start()  # it may have been killed on its own, and keeps its rows
        return served
    daemon.stop(folder)
    folder.wipe()
    state.write_json(folder.settings, settings)
    database = product.server(folder)
    database.fetch()  # may take longer than the daemon has for its start
    database.listen()
    return daemon.start(folder)


def _deploy(
    folder: Folder, served: Daemon, report: Report | None, *, anew: bool = False, refresh: bool = False
) -> Sandbox:
    settings = state.read_json(folder.settings)
    request = deploy.Request(
        program=Path(settings["program"]),
        state=folder.resources,
        endpoint=served.endpoint,
        config=settings["config"],
        anew=anew,
        refresh=refresh,
    )
    access = _access(folder, served)
    outputs = {**deploy.run(request, folder.engine_log, report or _silently), **access}
    state.write_json(folder.outputs, outputs)
    return Sandbox(folder, outputs)


def _access(folder: Folder, served: Daemon) -> dict[str, str]:
    path = folder.path / "operator.json"
    if not path.exists():
        key, secret = create_operator(Aws(served.endpoint))
        state.write_json(path, {"accessKeyId": key, "secretAccessKey": secret})
    return {"endpointUrl": served.endpoint, **state.read_json(path)}


def _drop_databases(database: DatabaseServer) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN %s", [SYSTEM_DATABASES]
        )
        for (schema,) in cursor.fetchall():
            cursor.execute(f"DROP DATABASE `{schema}`")
        cursor.execute("DROP USER IF EXISTS %s@'%%'", [words.BRIDGE_USER])


def _silently(step: Step) -> None:
    del step


def _option(name: str) -> str:
    return "" if name == "default" else f" --name {name}"
