"""`make chaos [SEED=n] [RUNS=n]`: runs with different seeds, one after the other, until one breaks a promise."""

import argparse
import random
import sys

from rich.console import Console

from sandbox import lifecycle
from sandbox.chaos import report
from sandbox.chaos.run import Run, Settings
from sandbox.errors import SandboxError

console = Console()


def main() -> int:
    """Run; 0 only if every run kept every promise."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="set the seed of the first run; each next run adds one")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--name", default="chaos", help="set the name of the sandbox")
    parser.add_argument("--rows", type=int, default=300, help="set how many rows Aurora has before the first copy")
    parser.add_argument("--writes", type=float, default=20, help="set writes per second")
    parser.add_argument("--reads", type=float, default=40, help="set reads per second")
    parser.add_argument("--keep", action="store_true", help="leave the sandbox up at the end")
    chosen = parser.parse_args()
    first = random.randrange(10**6) if chosen.seed is None else chosen.seed  # noqa: S311  # a seed
    try:
        return max(_run(chosen, seed) for seed in range(first, first + chosen.runs))
    except SandboxError as error:
        console.print(f"[red]The sandbox failed:[/] {error}", highlight=False)
        return 1
    finally:
        if not chosen.keep:
            lifecycle.down(chosen.name)


def _run(chosen: argparse.Namespace, seed: int) -> int:
    console.print(f"\n[bold]chaos, seed {seed}[/]  (again: make chaos SEED={seed})")
    settings = Settings(seed=seed, name=chosen.name, rows=chosen.rows, writes=chosen.writes, reads=chosen.reads)
    verdict = Run(settings, lambda line: console.print(line, highlight=False, markup=False)).go()
    console.print(report.table(verdict))
    if verdict.held:
        return 0
    for text in report.broken(verdict):
        console.print(text, style="red", highlight=False, markup=False)
    console.print(f"All of it is in {report.keep(verdict)}. Again: make chaos SEED={seed}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
