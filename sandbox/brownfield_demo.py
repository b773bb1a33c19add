"""`make demo BROWNFIELD=1`: a shop that exists is adopted under load, migrated, and left as it was."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox import lifecycle
from sandbox.brownfield import bringing_up, ledger, snapshot
from sandbox.brownfield.database import Rds
from sandbox.brownfield.system import ENTITY, Shop
from sandbox.chaos import checker, final_state
from sandbox.chaos.checker import Kind, Story, Violation
from sandbox.chaos.system import Arena
from sandbox.demo import PAUSE, Demo, DemoError, Result, console, done, final_table
from sandbox.engine.aws import Aws
from sandbox.errors import SandboxError
from sandbox.lifecycle import Sandbox
from sandbox.load import History, Load, Shape

if TYPE_CHECKING:
    from rich.table import Table

NAME = "brownfield"
WRITES, READS = 10, 25  # a second, by the shop's clients; the shop's own functions take more of this machine
TITLES = {
    Rds.SERVERLESS: "Aurora with the Data API",
    Rds.PROVISIONED: "Aurora without the Data API",
    Rds.INSTANCE: "RDS for MySQL",
}
GONE = {Kind.LOST, Kind.DOUBLED, Kind.TORN}


@dataclass(kw_only=True)
class BrownfieldResult(Result):
    """Beside the migration's figures: broken promises to clients, and artefacts of the shop that are not as before.

    Attributes:
        unaudited: with bridge = "replay", the notes that the shop's own function did not bring to Aurora.
    """

    broken: list[Violation] = field(default_factory=list[Violation])
    changed: list[str] = field(default_factory=list[str])
    unaudited: list[str] = field(default_factory=list[str])

    @property
    def lost(self) -> int:
        return sum(one.kind in GONE for one in self.broken)

    @property
    def held(self) -> bool:
        return super().held and not self.lost and not self.changed and not self.unaudited


class BrownfieldDemo(Demo):
    entity = ENTITY

    def __init__(self, sandbox: Sandbox, shop: Shop, *, count: int, replay: bool = False) -> None:
        super().__init__(sandbox, count=count)
        self._replay = replay
        self._shop = shop
        self._account = Aws(sandbox.outputs["endpointUrl"])
        self._before = snapshot.take(self._account, shop)
        self._changed: list[str] = []

    def run(self) -> BrownfieldResult:
        """The story: adopt, undo, adopt again, migrate, undo.

        Raises:
            DemoError: a step failed.
        """
        present = ledger.present(self._sandbox)
        console.print(f"\n  {WRITES} writes and {READS} reads a second by the shop's own clients from here on\n")
        with Load(self._target, ENTITY, writes_per_s=WRITES, reads_per_s=READS, fields=ledger.FIELDS) as load:
            time.sleep(PAUSE)  # the first requests wait for their functions' first start
            self._adopt_and_undo(load)
            self._adopt(load)
            self._runbook("init", says="invisible columns, the bridge's user, journal")
            self._runbook("preflight", says="every check is green")
            copied = self._copy(load)
            self._over_and_back(load)
            found = self._verify("both sides again, record by record", grace=30)
            self._step(load, "complete", "complete", "--execute", says="no trace is left in Aurora")
            time.sleep(PAUSE)
            history = load.stop()
        broken = broken_promises(self._sandbox, load.shape, history, present)
        unaudited = ledger.unaudited(self._sandbox, history) if self._replay else []
        if self._replay:
            console.print(f"  {len(unaudited)} acknowledged writes are missing in the audit of the shop's own function")
        self._undo_after_complete()
        return BrownfieldResult(
            rows=copied["rows_done"],
            rate=copied["rate"],
            equal=found["equal"],
            different=len(found["differences"]),
            history=history,
            windows=[(name, waits) for name, waits in history.windows() if name not in {"start", "between"}],
            broken=list(broken),
            changed=self._changed,
            unaudited=unaudited,
        )

    def _adopt_and_undo(self, load: Load) -> None:
        self._step(load, "adopt", "adopt", "--execute", says="variables, stream")
        with load.window("adopt undo"):
            self._undo()
        self._compare(self._before)

    def _adopt(self, load: Load) -> None:
        self._step(load, "adopt again", "adopt", "--execute", says="to stay")
        begun = time.monotonic()
        with load.window("sandbox up"):
            bringing_up.deploy(self._sandbox.name, current=False, replay=self._replay)
        done("sandbox up, with the bridge", time.monotonic() - begun, "under load")

    def _undo(self) -> None:
        begun = time.monotonic()
        self._call("adopt", "undo", "--execute")  # of all entities, since they share the API's deployment
        done("runbook adopt undo --execute", time.monotonic() - begun)

    def _undo_after_complete(self) -> None:
        self._undo()
        begun = time.monotonic()
        bringing_up.deploy(self._sandbox.name, bringing_up.BEFORE_ADOPTING, current=False, replay=self._replay)
        done("sandbox up, without the bridge", time.monotonic() - begun, "it read the stream")
        self._undo()
        self._compare(snapshot.completed(self._before))

    def _compare(self, expected: dict[str, str]) -> None:
        begun = time.monotonic()
        changed = snapshot.different(expected, snapshot.take(self._account, self._shop))
        self._changed += changed
        says = f"{', '.join(changed)} differ" if changed else f"{len(expected)} artefacts, byte for byte"
        done("compared with the shop before", time.monotonic() - begun, says)


def broken_promises(sandbox: Sandbox, shape: Shape, history: History, before: Mapping[str, str]) -> Sequence[Violation]:
    """Every promise to a client that was broken: a write that is lost, or there twice; a record of two writes.

    DynamoDB is the source of truth at the end, and is read past every function.

    Args:
        before: what was there before the clients came.
    """
    held = final_state.modern(Arena(sandbox, ENTITY, lambda _: None), shape)
    return checker.check(Story(before=before, attempts=history.attempts, source=held, other=held))


def summary(result: BrownfieldResult) -> str:
    """What the whole demo came to, in a line."""
    return (
        f"{len(result.history.attempts):,} requests, {result.failed} failed, {result.lost} writes lost; "
        f"longest wait in a switch {result.longest:.1f} s."
    )


def shown(result: BrownfieldResult) -> Table:
    table = final_table(result)
    table.title = "A system that existed, over and back: nothing lost" if result.held else "It did not hold"
    return table


def main() -> int:
    """Run the demo; 0 only if every promise held."""
    parser = argparse.ArgumentParser(prog="make demo BROWNFIELD=1", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the sandbox up at the end")
    parser.add_argument(
        "--count", type=int, default=bringing_up.ROWS, help="set how many orders Aurora has at the start"
    )
    parser.add_argument("--bridge", choices=("direct", "replay"), default="direct", help="set how the bridge writes")
    parser.add_argument("--rds", type=Rds, choices=list(Rds), help="set the kind of the shop's database")
    chosen = parser.parse_args()
    held = False
    try:
        held = _run(chosen.count, chosen.rds, replay=chosen.bridge == "replay")
    except (SandboxError, DemoError) as error:
        console.print(f"[red]The demo failed:[/] {error}", markup=True, highlight=False)
    finally:
        if not chosen.keep:
            lifecycle.down(NAME)
    return 0 if held else 1


def _run(count: int, rds: Rds | None, *, replay: bool) -> bool:
    lifecycle.down(NAME)
    console.print("[bold]streamback[/]: a system that exists, from MySQL to DynamoDB, and back\n")
    begun = time.monotonic()
    shop = bringing_up.shop(NAME, count, rds=rds)
    made = f"a shop with {count:,} orders in {TITLES[shop.database.rds]}"
    done(made, time.monotonic() - begun, "no code of streamback")
    begun = time.monotonic()
    sandbox = bringing_up.deploy(NAME, current=False, replay=replay)
    done("sandbox up, without the bridge", time.monotonic() - begun, "touches nothing of the shop")
    result = BrownfieldDemo(sandbox, shop, count=count, replay=replay).run()
    console.print()
    console.print(shown(result))
    console.print(summary(result), highlight=False)
    for one in (*result.history.failures[:5], *result.broken[:5]):
        console.print(f"  {one}", markup=False)
    return result.held


if __name__ == "__main__":
    sys.exit(main())
