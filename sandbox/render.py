"""How `sandbox` speaks: progress on a terminal's stderr, results on stdout."""

import contextlib
from collections import Counter
from collections.abc import Generator, Iterable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from sandbox import state
from sandbox.deploy import Step
from sandbox.engine.plan import Change
from sandbox.lifecycle import Sandbox, Status

OUT = Console(highlight=False)
ERR = Console(stderr=True, highlight=False)
SIGNS = {
    Change.SAME: ("=", "dim"),
    Change.CREATE: ("+", "green"),
    Change.UPDATE: ("~", "yellow"),
    Change.REPLACE: ("±", "magenta"),
    Change.DELETE: ("-", "red"),
}
DONE = {
    Change.SAME: "unchanged",
    Change.CREATE: "created",
    Change.UPDATE: "updated",
    Change.REPLACE: "replaced",
    Change.DELETE: "deleted",
}


class Report:
    """Collects the steps and shows the latest."""

    def __init__(self, bar: Progress) -> None:
        self.steps: list[Step] = []
        self._bar = bar
        self._task = bar.add_task("starting the database and MiniStack", total=None)

    def __call__(self, step: Step) -> None:
        self.steps.append(step)
        self._bar.update(self._task, description=f"{short(step.type)} {step.name}", completed=len(self.steps))


@contextlib.contextmanager
def progress() -> Generator[Report]:
    """A line that shows what is being made; it vanishes at the end. Nothing when stderr is no terminal."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        yield Report(bar)


def summary(sandbox: Sandbox, steps: Sequence[Step]) -> None:
    parts: dict[str, Counter[Change]] = {}
    for step in steps:
        parts.setdefault(part(step.urn), Counter())[step.change] += 1
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, counts in parts.items():
        table.add_row(name, ", ".join(_counted(counts)))
    OUT.print(table)
    OUT.print()
    OUT.print(f"Sandbox [bold]{sandbox.name}[/] is up; IAM is enforced.")
    for title, key in (("API", "apiUrl"), ("AWS endpoint", "endpointUrl")):
        if sandbox.outputs.get(key):
            OUT.print(f"  {title:<13} {sandbox.outputs[key]}", soft_wrap=True)
    OUT.print(f"  {'database':<13} {sandbox.database.title}")
    OUT.print(f"  {'Data API':<13} {sandbox.data_api}")
    OUT.print(f"  {'outputs':<13} {sandbox.location.outputs}", soft_wrap=True)
    OUT.print(f"Next: {_next(sandbox)}. Take it down with [bold]sandbox down{state.option(sandbox.name)}[/].")


def _next(sandbox: Sandbox) -> str:
    if sandbox.outputs.get("apiAdopted") and "bridge" not in sandbox.outputs["parts"]:
        again = f"sandbox up{state.option(sandbox.name)}"
        return f"[bold]runbook adopt --execute[/], then [bold]{again}[/] again, for the bridge"
    return "[bold]runbook init[/], then [bold]runbook smoke[/]"


def plan(steps: Iterable[Step]) -> None:
    counts: Counter[Change] = Counter()
    for step in steps:
        counts[step.change] += 1
        sign, style = SIGNS[step.change]
        if step.change is not Change.SAME:
            OUT.print(f"[{style}]{sign}[/] {short(step.type):<42} {step.name}", soft_wrap=True)
    OUT.print(f"{sum(counts.values())} resources: {', '.join(_planned(counts)) or 'none'}. Nothing was done.")


def statuses(found: Sequence[Status]) -> None:
    if not found:
        OUT.print("There is no sandbox. Bring one up with [bold]sandbox up[/].")
        return
    width = max(len(status.name) for status in found)
    for status in found:
        server = f"server up (pid {status.pid})" if status.pid else "[red]server down[/]"
        title = status.product.label
        database = f"{title} up" if status.database else f"[red]{title} down[/]"
        mark = "*" if status.current else " "
        OUT.print(
            f"{mark} {status.name:<{width}}  {server}, {database}, Data API {status.data_api}, "
            f"{status.resources} resources  {status.api}",
            soft_wrap=True,
        )
    if any(status.current for status in found):
        OUT.print("* used by `runbook` by default")


def log_line(line: str) -> None:
    OUT.print(line, markup=False, soft_wrap=True)


def say(text: str) -> None:
    OUT.print(text)


def error(text: str) -> None:
    """What went wrong, on stderr."""
    ERR.print(f"[red]error:[/] {escape(text)}", soft_wrap=True)


def short(type_: str) -> str:
    """`aws:lambda/function:Function` → `aws:lambda:Function`."""
    package, module, name = type_.split(":")
    return f"{package}:{module.split('/')[0]}:{name}"


def part(urn: str) -> str:
    """The outermost component that a resource is in; "stack" for one that is in none."""
    kinds = urn.split("::")[2].split("$")
    return kinds[0].rsplit(":", 1)[-1] if len(kinds) > 1 else "stack"


def _counted(counts: Counter[Change]) -> list[str]:
    return [f"[{SIGNS[change][1]}]{counts[change]} {DONE[change]}[/]" for change in Change if counts[change]]


def _planned(counts: Counter[Change]) -> list[str]:
    verbs = {Change.SAME: "unchanged"}
    return [f"{counts[change]} {verbs.get(change, f'to {change}')}" for change in Change if counts[change]]
