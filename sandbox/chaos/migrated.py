"""What a run migrates: streamback's own chefs, or the shop, which boto3 and SQL have made and a stack adopts."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from functions.domain.entities import DIRECT, REPLAY
from sandbox import lifecycle
from sandbox.brownfield import bringing_up, ledger, snapshot
from sandbox.brownfield import system as shop
from sandbox.brownfield.database import Rds
from sandbox.chaos import adoption, final_state, scenario
from sandbox.chaos.faults import calls
from sandbox.chaos.scenario import Deed, Stretch, Variant
from sandbox.chaos.swallowed import judged
from sandbox.chaos.system import Arena
from sandbox.emulator.behaviour import data_api_traits
from sandbox.emulator.behaviour.data_api_traits import Trait
from sandbox.engine.aws import Aws
from sandbox.lifecycle import Sandbox
from sandbox.load import Attempt

CHEFS = "chefs"
AGAIN = 0.4  # share of the runs in which adopting is undone once before it stays
# Share of the runs in which the shop's functions end soon. A cutover waits for their timeout, and the faults of its
# stretch then hit the switch itself. In the others a write may come after its client has an answer.
BRIEF, BRIEF_SECONDS = 0.6, 6
BRIDGES = DIRECT, REPLAY


class Migrated(Protocol):
    """A system and its scenario."""

    @property
    def writes(self) -> float:
        """A second, that it can serve on two cores beside the faults."""
        ...

    @property
    def reads(self) -> float: ...

    def bring_up(self, name: str, rows: int, program: Path, seed: int) -> Sandbox: ...

    def arena(self, sandbox: Sandbox, say: Callable[[str], None]) -> Arena: ...

    def prepare(self, arena: Arena, rows: int) -> dict[str, str]:
        """Have so many rows there as from years ago; their values by key."""
        ...

    def stretches(self, seed: int, variant: Variant, *, brief: bool) -> Sequence[Stretch]: ...

    def completion(self) -> Sequence[Stretch]: ...

    def act(self, deed: Deed, arena: Arena) -> None:
        """What a stretch has its operator do; a promise that is broken is noted as a problem."""
        ...

    def compare(self, arena: Arena) -> None:
        """Note as a problem what `complete` has left different in Aurora."""
        ...

    def judged(self, attempts: Sequence[Attempt], arena: Arena) -> Sequence[Attempt]:
        """The clients' attempts with outcomes as the checker knows them."""
        ...


class OwnChefs:
    """What the stack creates itself."""

    writes, reads = 20.0, 40.0

    def __init__(self) -> None:
        self._definition = ""

    def bring_up(self, name: str, rows: int, program: Path, seed: int) -> Sandbox:
        del rows, seed
        # why keys in answers: without them a writer that is killed or stopped in a create keeps its locks for minutes
        traits = data_api_traits.default() - {Trait.NO_GENERATED_FIELDS}
        return lifecycle.up(name, program=program, data_api=traits, current=False)

    def arena(self, sandbox: Sandbox, say: Callable[[str], None]) -> Arena:
        return Arena(sandbox, CHEFS, say)

    def prepare(self, arena: Arena, rows: int) -> dict[str, str]:
        arena.clients.functions.invoke(
            FunctionName=arena.target.legacy_init_function, Payload=b'{"httpMethod": "GET", "path": "/aurora"}'
        )
        self._definition = final_state.definition(arena)
        return final_state.seed(arena, arena.shape(), rows)

    def stretches(self, seed: int, variant: Variant, *, brief: bool) -> Sequence[Stretch]:
        del seed
        return scenario.stretches(CHEFS, variant, brief=brief)

    def completion(self) -> Sequence[Stretch]:
        return (scenario.completion(CHEFS),)

    def act(self, deed: Deed, arena: Arena) -> None:
        raise NotImplementedError

    def compare(self, arena: Arena) -> None:
        found = final_state.definition(arena)
        if found != self._definition:
            arena.problem(f"the legacy table was\n{self._definition}\nand is after complete\n{found}")

    def judged(self, attempts: Sequence[Attempt], arena: Arena) -> Sequence[Attempt]:
        del arena
        return attempts


class AdoptedShop:
    """The shop of sandbox/brownfield.

    Args:
        bridge: how the bridge writes to Aurora, as entities.toml says it.
        rds: the kind of the shop's database.
    """

    writes, reads = 8.0, 16.0  # its functions take more of this machine than streamback's own

    def __init__(self, bridge: str = DIRECT, rds: Rds = Rds.SERVERLESS) -> None:
        self._bridge = bridge
        self._rds = rds
        self._before: dict[str, str] = {}

    def bring_up(self, name: str, rows: int, program: Path, seed: int) -> Sandbox:
        del program  # a mutation of the program is for chefs
        self._shop = bringing_up.shop(name, rows, rds=self._rds)
        if _drawn(seed, "timeout", BRIEF):
            shop.limit_functions(Aws(lifecycle.start(name).endpoint), BRIEF_SECONDS)
        return self._deploy(name, bringing_up.BEFORE_ADOPTING)

    def arena(self, sandbox: Sandbox, say: Callable[[str], None]) -> Arena:
        return Arena(sandbox, shop.ENTITY, say, ledger.FIELDS, made_by_legacy)

    def prepare(self, arena: Arena, rows: int) -> dict[str, str]:
        del rows
        self._before = snapshot.take(self._account(arena), self._shop)
        return ledger.present(arena.sandbox)

    def stretches(self, seed: int, variant: Variant, *, brief: bool) -> Sequence[Stretch]:
        again = _drawn(seed, "adoption", AGAIN)
        connects = not self._rds.has_data_api
        return adoption.stretches(shop.ENTITY, variant, again=again, brief=brief, connects=connects)

    def completion(self) -> Sequence[Stretch]:
        return adoption.completion(shop.ENTITY)

    def act(self, deed: Deed, arena: Arena) -> None:
        if deed in {Deed.DEPLOY, Deed.DEPLOY_WITHOUT}:
            parts = bringing_up.ALL if deed == Deed.DEPLOY else bringing_up.BEFORE_ADOPTING
            self._deploy(arena.sandbox.name, parts)
            arena.redeployed()
        else:
            calls.await_late(arena)  # nothing refuses a late change of an API
            expected = self._before if deed == Deed.COMPARE else snapshot.completed(self._before)
            self._demand_same(arena, expected)
        arena.note(f"  {deed}")

    def compare(self, arena: Arena) -> None:
        table = "table in Aurora"
        self._demand_same(arena, {table: self._before[table]})

    def judged(self, attempts: Sequence[Attempt], arena: Arena) -> Sequence[Attempt]:
        return judged(attempts, arena.disturbances)

    def _demand_same(self, arena: Arena, expected: dict[str, str]) -> None:
        found = snapshot.take(self._account(arena), self._shop)
        for name in snapshot.different(expected, found):
            arena.problem(f"{name} of the shop was\n{expected[name]}\nand is\n{found.get(name)}")

    def _deploy(self, name: str, parts: Sequence[str]) -> Sandbox:
        return bringing_up.deploy(name, parts, replay=self._bridge == REPLAY, current=False)

    @staticmethod
    def _account(arena: Arena) -> Aws:
        return Aws(arena.sandbox.outputs["endpointUrl"])


def _drawn(seed: int, what: str, share: float) -> bool:
    return random.Random(f"{seed}/{what}").random() < share  # noqa: S311  # repeatable


def made_by_legacy(key: str) -> bool:
    """Of the shop's keys, which are natural, only those of its first rows say that."""
    return key.startswith("A-")
