"""`make chaos [SEED=n] [RUNS=n] [MUTATE=name] [BROWNFIELD=1 [BRIDGE=way] [RDS=kind]]`: runs, one after the other.

Each has another seed.
"""

import argparse
import random
import sys
from collections.abc import Iterable

from rich.console import Console

from sandbox import lifecycle
from sandbox.brownfield.database import Rds
from sandbox.chaos import report
from sandbox.chaos.migrated import BRIDGES, AdoptedShop, OwnChefs
from sandbox.chaos.mutations import MUTATIONS
from sandbox.chaos.run import Run, Settings, Verdict
from sandbox.database import product
from sandbox.database.product import Product
from sandbox.errors import SandboxError

RDS = Rds.SERVERLESS  # without --rds

console = Console()


def main() -> int:
    """Run; 0 only if every run kept every promise."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="set the seed of the first run; each next run adds one")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--name", default="chaos", help="set the name of the sandbox")
    parser.add_argument("--rows", type=int, default=300, help="set how many rows Aurora has before the first copy")
    parser.add_argument("--writes", type=float, default=0.0, help="set writes per second")
    parser.add_argument("--reads", type=float, default=0.0, help="set reads per second")
    parser.add_argument("--brownfield", action="store_true", help="migrate the shop, which is adopted")
    parser.add_argument("--bridge", choices=BRIDGES, default=BRIDGES[0], help="set how the shop's changes reach Aurora")
    parser.add_argument("--rds", type=Rds, choices=list(Rds), default=RDS, help="set the kind of the shop's database")
    parser.add_argument("--mutate", choices=sorted(MUTATIONS), help="switch a cure off, and run until a seed finds it")
    parser.add_argument("--keep", action="store_true", help="leave the sandbox up at the end")
    chosen = parser.parse_args()
    if chosen.mutate and chosen.brownfield:
        parser.error("--mutate is for streamback's own chefs, without --brownfield")
    first = random.randrange(10**6) if chosen.seed is None else chosen.seed  # noqa: S311  # a seed
    try:
        seeds = range(first, first + chosen.runs)
        return _find(chosen, seeds) if chosen.mutate else max(_run(chosen, seed) for seed in seeds)
    except SandboxError as error:
        console.print(f"[red]The sandbox failed:[/] {error}", highlight=False)
        return 1
    finally:
        if not chosen.keep:
            lifecycle.down(chosen.name)


def _find(chosen: argparse.Namespace, seeds: Iterable[int]) -> int:
    """Run seeds without a cure; 0 as soon as one finds what the cure prevents, and holds with the cure."""
    mutation = MUTATIONS[chosen.mutate]
    for tried, seed in enumerate(seeds, 1):
        verdict = _verdict(chosen, seed)
        if found := mutation.shown(report.texts(verdict)):
            console.print(
                f"[green]Found[/] by seed {seed}, the {tried}. of this mutation: {mutation.defect}", highlight=False
            )
            console.print(found[0], highlight=False, markup=False)
            return _cured(chosen, seed)
        for text in report.broken(verdict):
            console.print(f"Something else: {text}", highlight=False, markup=False)
    console.print(f"[red]No seed has found[/] that {mutation.defect}", highlight=False)
    return 1


def _cured(chosen: argparse.Namespace, seed: int) -> int:
    """Run the same scenario with the cure: 0 if every promise is kept."""
    console.print("\nThe same with the cure:", highlight=False)
    return _reported(_verdict(chosen, seed, cured=True), _again(chosen, seed))


def _verdict(chosen: argparse.Namespace, seed: int, *, cured: bool = False) -> Verdict:
    console.print(f"\n[bold]chaos, seed {seed}[/]  (again: {_command(_again(chosen, seed))})")
    settings = Settings(
        seed=seed,
        name=chosen.name,
        rows=chosen.rows,
        writes=chosen.writes,
        reads=chosen.reads,
        migrated=AdoptedShop(chosen.bridge, chosen.rds) if chosen.brownfield else OwnChefs(),
        mutation=MUTATIONS[chosen.mutate] if chosen.mutate else None,
        cured=cured,
    )
    verdict = Run(settings, lambda line: console.print(line, highlight=False, markup=False)).go()
    console.print(report.table(verdict))
    return verdict


def _command(words: str) -> str:
    database = product.default()
    return f"make chaos {words}" + ("" if database is Product.MARIADB else f" DATABASE={database}")


def _run(chosen: argparse.Namespace, seed: int) -> int:
    return _reported(_verdict(chosen, seed), _again(chosen, seed))


def _again(chosen: argparse.Namespace, seed: int) -> str:
    """The variables of the command that repeats a run."""
    found = [f"SEED={seed}"]
    found += [f"MUTATE={chosen.mutate}"] if chosen.mutate else []
    found += ["BROWNFIELD=1"] if chosen.brownfield else []
    found += [f"BRIDGE={chosen.bridge}"] if chosen.bridge != BRIDGES[0] else []
    found += [f"RDS={chosen.rds}"] if chosen.rds != RDS else []
    return " ".join(found)


def _reported(verdict: Verdict, again: str) -> int:
    if verdict.held:
        return 0
    for text in report.broken(verdict):
        console.print(text, style="red", highlight=False, markup=False)
    console.print(f"All of it is in {report.keep(verdict)}. Again: {_command(again)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
