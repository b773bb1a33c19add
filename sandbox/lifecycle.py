"""Up, preview, reset and down of a sandbox: what the command line, the demo and the tests use."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from functions.domain import names as words
from sandbox import daemon, deploy, kinds, state
from sandbox.database import product
from sandbox.database.database_server import DatabaseServer
from sandbox.database.product import Product
from sandbox.deploy import Report, Request, Step
from sandbox.engine.aws import Aws, create_operator
from sandbox.engine.state import State
from sandbox.errors import SandboxError
from sandbox.kinds import Engine, Kinds
from sandbox.pulumi_cli import checkpoint
from sandbox.pulumi_cli import run as pulumi
from sandbox.state import PROJECT, Daemon, Folder

ACCESS = ("endpointUrl", "accessKeyId", "secretAccessKey")  # what the sandbox adds to the stack's outputs
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
        return kinds.kept_traits(self.location)

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
    current: bool = True,
    refresh: bool = False,
    report: Report | None = None,
    **asked: Unpack[Kinds],
) -> Sandbox:
    """Bring a sandbox up, or bring the one that is up to what the program now says.

    Args:
        name: what to call it; several can be up at once.
        config: the program's settings, by the names they have in Pulumi.<stack>.yaml.
        entities: the mapping to use; the project's entities.toml without it.
        program: the folder of the Pulumi program.
        current: whether `runbook` uses it by default.
        refresh: look at what is there first: something else may have changed it.
        report: called for each resource.
        asked: see `Kinds`.

    Raises:
        SandboxError: it cannot be brought up; the text says why.
    """
    folder = Folder.of(name)
    with folder.locked():
        settings = {
            **kinds.chosen(folder, **asked),
            "config": _with_authority(folder, _settings(config, entities)),
            "program": str(program),
        }
        served = _serve(folder, settings)
        sandbox = _deploy(folder, served, report, refresh=refresh)
    if current:
        state.set_current(folder)
    return sandbox


def start(name: str = "default", **asked: Unpack[Kinds]) -> Daemon:
    """Start a sandbox without a stack, to put in it what a stack is to adopt; the one that runs is left as it is.

    The arguments are those of `up`.

    Raises:
        SandboxError: it cannot be started.
    """
    folder = Folder.of(name)
    with folder.locked():
        kept: dict[str, Any] = {"config": _settings(None, None), "program": str(PROJECT)}
        kept |= {**state.read_json(folder.settings), **kinds.chosen(folder, **asked)}
        return _serve(folder, kept)


def preview(
    name: str = "default",
    config: Mapping[str, Any] | None = None,
    entities: Path | None = None,
    *,
    program: Path = PROJECT,
    engine: Engine | None = None,
) -> list[Step]:
    """What `up` would do, resource by resource. Makes nothing and calls nothing, with or without a sandbox.

    Raises:
        SandboxError: the program cannot be run.
    """
    folder = Folder.of(name)
    chosen, settings = kinds.engine(folder, engine), _settings(config, entities)
    if folder.daemon():
        return _preview(folder, chosen, program, _with_authority(folder, settings))
    with tempfile.TemporaryDirectory(prefix="streamback-preview-") as empty:
        return _preview(Folder(Path(empty), folder.cache), chosen, program, settings)


def find(name: str = "default") -> Sandbox:
    """The sandbox that is up.

    Raises:
        SandboxError: there is none of this name.
    """
    folder = Folder.of(name)
    if folder.daemon() is None or not folder.outputs.exists():
        raise SandboxError(f"The sandbox {name!r} is not up. Bring it up with `sandbox up{state.option(name)}`.")
    return Sandbox(folder, state.read_json(folder.outputs))


def reset(name: str = "default", report: Report | None = None) -> Sandbox:
    """Empty it: no databases, new tables and streams, empty buckets and secrets, the stage as the program has it.

    Functions, the API and the cluster stay as they are.

    Raises:
        SandboxError: it is not up.
    """
    find(name)
    folder = Folder.of(name)
    if kinds.engine(folder) is Engine.PULUMI:
        raise SandboxError(
            f"Pulumi's engine cannot empty the sandbox {name!r}. Take it down with `sandbox down{state.option(name)}`, "
            f"and bring it up again with `sandbox up --engine pulumi{state.option(name)}`."
        )
    with folder.locked():
        served = folder.daemon()
        if served is None:
            raise SandboxError(f"The sandbox {name!r} has just gone down.")
        _drop_databases(product.server(folder))
        return _deploy(folder, served, report, anew=True)


def down(name: str = "default", engine: Engine | None = None) -> bool:
    """Stop it and remove its files; whether there was anything.

    Args:
        name: what it is called.
        engine: Pulumi's deletes the program's resources first, and refuses if one is protected.

    Raises:
        SandboxError: it was not brought up by that engine, or a resource could not be deleted.
    """
    folder = Folder.of(name)
    if not folder.path.exists():
        return False
    with folder.locked():
        if engine and kinds.engine(folder, engine) is Engine.PULUMI:
            pulumi.destroy(folder, _silently)
        daemon.stop(folder)
        state.unset_current(folder)
        folder.remove()
    return True


def run_pulumi(name: str, arguments: Sequence[str]) -> int:
    """Run the pulumi CLI on the sandbox's stack, on this terminal; its exit code.

    Raises:
        SandboxError: the sandbox is not up, or Pulumi's engine did not bring it up.
    """
    sandbox = find(name)
    if kinds.engine(sandbox.location) is not Engine.PULUMI:
        raise SandboxError(
            f"Pulumi's engine did not bring the sandbox {name!r} up, and so has no state of it. Take it down with "
            f"`sandbox down{state.option(name)}`, and bring it up again with "
            f"`sandbox up --engine pulumi{state.option(name)}`."
        )
    with sandbox.location.locked():
        code, outputs = pulumi.on_terminal(sandbox.location, arguments)
        access = {key: sandbox.outputs[key] for key in ACCESS}
        state.write_json(sandbox.location.outputs, {**outputs, **access})
    return code


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
        data_api=kinds.kept_traits(folder),
        database=product.server(folder).running(),
        resources=len(State.load(folder.resources).records or checkpoint.resources(folder)),
        api=state.read_json(folder.outputs).get("apiUrl", "") if served else "",
    )


def _settings(config: Mapping[str, Any] | None, entities: Path | None) -> dict[str, Any]:
    chosen = {"entitiesFile": str(entities.resolve())} if entities else {}
    return {**chosen, **(config or {})}


def _with_authority(folder: Folder, settings: dict[str, Any]) -> dict[str, Any]:
    """The program's settings, and the authority that the database's certificate is checked by."""
    return {"databaseCaFile": str(product.server(folder).authority), **settings}


def _serve(folder: Folder, settings: dict[str, Any]) -> Daemon:
    """The running daemon; a new one, with nothing in it, where there is none or where an `up` died half-way."""
    served = folder.daemon()
    interrupted = bool(State.load(folder.resources).creating) or checkpoint.is_interrupted(folder)
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
    request = Request(
        program=Path(settings["program"]),
        state=folder.resources,
        endpoint=served.endpoint,
        config=settings["config"],
        anew=anew,
        refresh=refresh,
    )
    access = _access(folder, served)
    made = _run(folder, Engine(settings["engine"]), request, folder.engine_log, report or _silently)
    outputs = {**made, **_place(made, served), **access}
    state.write_json(folder.outputs, outputs)
    return Sandbox(folder, outputs)


def _run(folder: Folder, engine: Engine, request: Request, log: Path | None, report: Report) -> dict[str, Any]:
    """Run the program; the stack's outputs."""
    if engine is Engine.PULUMI:
        return pulumi.run(request, folder, report)
    return deploy.run(request, log, report)


def _preview(folder: Folder, engine: Engine, program: Path, settings: Mapping[str, Any]) -> list[Step]:
    steps: list[Step] = []
    request = Request(program=program, state=folder.resources, config=settings, preview=True)
    _run(folder, engine, request, None, steps.append)
    return steps


def _access(folder: Folder, served: Daemon) -> dict[str, str]:
    path = folder.path / "operator.json"
    if not path.exists():
        key, secret = create_operator(Aws(served.endpoint))
        state.write_json(path, {"accessKeyId": key, "secretAccessKey": secret})
    return {"endpointUrl": served.endpoint, **state.read_json(path)}


def _place(outputs: Mapping[str, Any], served: Daemon) -> dict[str, str]:
    """Where an adopted API is reached here; one that the stack made has the emulator's address already."""
    if not outputs.get("apiAdopted"):
        return {}
    return {"apiUrl": f"{served.endpoint}/restapis/{outputs['apiId']}/{outputs['stageName']}/_user_request_"}


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
