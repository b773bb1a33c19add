"""The command `sandbox`: bring the embedded default up, look into it, empty it, take it down."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from sandbox import fill, lifecycle, logs, render
from sandbox.brownfield import bringing_up
from sandbox.brownfield.database import Rds
from sandbox.database.product import Product
from sandbox.emulator.behaviour import data_api_traits
from sandbox.emulator.behaviour.latency import Latency
from sandbox.errors import SandboxError
from sandbox.kinds import Engine, Kinds

app = typer.Typer(
    name="sandbox",
    help="streamback on this machine: MiniStack, MariaDB or MySQL and the unmodified Pulumi program.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)

Name = Annotated[str, typer.Option("--name", "-n", metavar="NAME", help="Which sandbox; several can be up at once.")]
Setting = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", metavar="KEY=VALUE", help="A setting of the program; may be given several times."),
]
Entities = Annotated[
    Path | None,
    typer.Option(
        "--entities",
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="Another mapping than the project's entities.toml.",
    ),
]


Refresh = Annotated[
    bool, typer.Option("--refresh", help="First look for what something else changed, and put it right.")
]
Database = Annotated[
    Product | None, typer.Option("--database", help="Which database takes Aurora's place (default: mariadb).")
]
DataApi = Annotated[
    str | None,
    typer.Option(
        "--data-api", metavar="TRAITS", help="Set what the Data API refuses: strict (default), lenient or traits."
    ),
]
Delays = Annotated[
    Latency | None, typer.Option("--latency", help="Set how long AWS calls take: none (default) or as on AWS.")
]
Brownfield = Annotated[bool, typer.Option("--brownfield", help="Make a shop with 10,000 orders first, and adopt it.")]
KindOfRds = Annotated[
    Rds | None, typer.Option("--rds", help="Set the kind of the shop's database (default: serverless).")
]
EngineOption = Annotated[
    Engine | None,
    typer.Option("--engine", help="Run the program in this process (default: in-process) or by the pulumi CLI."),
]


@app.command()
def up(
    name: Name = "default",
    config: Setting = None,
    entities: Entities = None,
    database: Database = None,
    data_api: DataApi = None,
    delays: Delays = None,
    engine: EngineOption = None,
    refresh: Refresh = False,
    brownfield: Brownfield = False,
    rds: KindOfRds = None,
) -> None:
    """Bring a sandbox up, or bring the one that is up to what the program now says."""
    with render.progress() as report, _errors_shown():
        traits = data_api_traits.parse(data_api) if data_api is not None else None
        settings = _settings(config)
        kinds = Kinds(database=database, data_api=traits, delays=delays, engine=engine)
        if brownfield or bringing_up.is_there(name):
            if entities:
                raise SandboxError("--entities cannot be given here: the shop has a mapping of its own.")
            lifecycle.start(name, **kinds)
            bringing_up.shop(name, rds=rds)
            sandbox = bringing_up.deploy(name, config=settings, refresh=refresh, report=report)
        elif rds:
            raise SandboxError("--rds needs --brownfield: it chooses the shop's database.")
        else:
            sandbox = lifecycle.up(name, settings, entities, refresh=refresh, report=report, **kinds)
    render.summary(sandbox, report.steps)


@app.command()
def preview(
    name: Name = "default", config: Setting = None, entities: Entities = None, engine: EngineOption = None
) -> None:
    """List what `up` would create, change and delete; does nothing."""
    with _errors_shown():
        steps = lifecycle.preview(name, _settings(config), entities, engine=engine)
    render.plan(steps)


@app.command()
def status(
    name: Annotated[str | None, typer.Option("--name", "-n", metavar="NAME", help="Only this one.")] = None,
) -> None:
    """Show which sandboxes are up."""
    with _errors_shown():
        render.statuses(lifecycle.statuses(name))


@app.command(name="logs")
def show_logs(
    function: Annotated[
        str,
        typer.Argument(metavar="[FUNCTION]", help="Only functions with this in their name; 'server' for the server's."),
    ] = "",
    name: Name = "default",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", min=0, help="How many lines from before.")] = 50,
) -> None:
    """Print what the functions and the server logged."""
    with _errors_shown():
        source = logs.Logs(lifecycle.find(name), function)
    try:
        for line in source.follow(lines) if follow else source.last(lines):
            render.log_line(line)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


@app.command(name="fill")
def fill_tables(
    rows: Annotated[int, typer.Option("--rows", min=1, max=10_000_000, help="How many rows each table gets.")] = 1000,
    name: Name = "default",
) -> None:
    """Add random rows to the legacy tables, as an API that was there before."""
    with _errors_shown():
        found = fill.fill(lifecycle.find(name), rows)
    for entity, count in found.items():
        render.say(f"{entity}: {count:,} rows")


@app.command()
def reset(name: Name = "default") -> None:
    """Empty a sandbox: databases, items, journal, routes. Functions and the API stay."""
    with render.progress() as report, _errors_shown():
        bringing_up.refuse_reset(name)
        sandbox = lifecycle.reset(name, report)
    render.summary(sandbox, report.steps)


@app.command()
def down(
    name: Name = "default",
    engine: Annotated[
        Engine | None, typer.Option("--engine", help="With pulumi: first run `pulumi destroy`, as on AWS.")
    ] = None,
) -> None:
    """Stop a sandbox and remove all that is in it."""
    with _errors_shown():
        there = lifecycle.down(name, engine)
    render.say(f"The sandbox {name!r} is gone." if there else f"There was no sandbox {name!r}.")


@app.command(name="pulumi", context_settings={"ignore_unknown_options": True})
def run_pulumi(arguments: Annotated[list[str], typer.Argument(metavar="-- ARGS")], name: Name = "default") -> None:
    """Run the pulumi CLI on a sandbox's stack, such as `sandbox pulumi -- stack output`."""
    with _errors_shown():
        code = lifecycle.run_pulumi(name, arguments)
    raise typer.Exit(code)


class _errors_shown:  # noqa: N801  # a context manager in the shape of contextlib.suppress
    """Turns a SandboxError into its text on stderr and exit code 1."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, SandboxError):
            _fail(str(error))


def _fail(message: str) -> NoReturn:
    render.error(message)
    raise typer.Exit(1)


def _settings(given: list[str] | None) -> dict[str, str]:
    settings: dict[str, str] = {}
    for setting in given or []:
        key, equals, value = setting.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{setting!r} is not KEY=VALUE", param_hint="--config")
        settings[key] = value
    return settings
