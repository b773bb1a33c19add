"""Somebody switches the table's stream off and on again while modern is the source of truth; an operator adopts it.

Clients write all the time: while the old stream still has changes, while there is none, before the new one is known.
The stream of an adopted table is the team's: it may stay off until `adopt` switches it on, or come back with another
view, which the team has to change, because `adopt` refuses it.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from botocore.exceptions import ClientError

from sandbox import lifecycle, state
from sandbox.chaos.commands import DONE
from sandbox.chaos.faults.attack import Attack

ON = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
KEYS = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
OFF = {"StreamEnabled": False}
LONGEST = 3.0  # seconds without a stream
TRIES = 10  # of a call that another fault may make fail


def new_stream(attack: Attack) -> None:
    arena, runbook = attack.arena, attack.runbook
    off, unadopted = attack.rng.uniform(0.0, LONGEST), attack.rng.uniform(0.0, LONGEST)
    _set(attack, OFF)
    time.sleep(off)
    switch = attack.rng.choice((_by_team, _by_adopt, _with_another_view)) if arena.deployed.table_adopted else _by_team
    switch(attack)
    attack.note(f"the table's stream was off for {off:.1f} s and is a new one")
    time.sleep(unadopted)
    location = arena.sandbox.location
    settings = state.read_json(location.settings)
    lifecycle.up(location.name, settings["config"], program=Path(settings["program"]), current=False, refresh=True)
    arena.redeployed()
    this = ("--entity", arena.name)
    runbook.until_done(("init",), main=False)
    runbook.until_done(("verify", "--repair", "--execute", *this), main=False)
    attack.note("the new stream was adopted, and Aurora repaired from the items")


def _by_team(attack: Attack) -> None:
    _set(attack, ON)


def _by_adopt(attack: Attack) -> None:
    attack.runbook.until_done(_adopt(attack), main=False)


def _with_another_view(attack: Attack) -> None:
    _set(attack, KEYS)
    ended = attack.runbook.once(_adopt(attack))
    attack.note(f"the stream shows keys only, and `adopt` ended with {ended.code}: {ended.said}")
    if ended.code == DONE:
        attack.arena.problem("`adopt` accepted a stream that shows keys only")
    _set(attack, OFF)
    _set(attack, ON)


def _adopt(attack: Attack) -> tuple[str, ...]:
    return ("adopt", "--entity", attack.arena.name, "--execute")


def _set(attack: Attack, specification: Mapping[str, Any]) -> None:
    """UpdateTable; ResourceInUse until the change before has ended."""
    client, table = attack.arena.clients.dynamodb, attack.arena.deployed.modern_table
    for attempt in range(1, TRIES + 1):
        try:
            client.update_table(TableName=table, StreamSpecification=cast("Any", specification))
        except ClientError:
            if attempt == TRIES:
                raise
            time.sleep(1.0)
        else:
            return
