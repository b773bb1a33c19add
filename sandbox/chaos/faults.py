"""The faults, each a function that does harm, waits as long as it must, and repairs it; `Nemesis` injects them.

A new fault stands in FAULTS; scenario.py says during which commands it may be injected.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import psutil
from botocore.exceptions import ClientError

from functions.domain import names
from sandbox.chaos.commands import DONE, REFUSED, Runbook
from sandbox.chaos.system import Arena
from sandbox.emulator.behaviour.throttling import PATH

if TYPE_CHECKING:
    Fault = Callable[["Attack"], None]
import threading
from collections import Counter
from typing import Self

from sandbox.chaos.scenario import Stretch


class Nemesis:
    """The faults of one stretch, injected from a thread of its own while the stretch lasts.

    Args:
        arena, runbook: where.
        stretch: which faults may come, and how many.
        seed: the same for the same faults at the same moments of the stretch.
        injected: counts them.
    """

    def __init__(self, arena: Arena, runbook: Runbook, stretch: Stretch, seed: str, injected: Counter[str]) -> None:
        self._arena = arena
        self._over = threading.Event()
        self._injected = injected
        rng = random.Random(seed)  # noqa: S311  # repeatable faults
        count = rng.randint(*stretch.many) if stretch.faults else 0
        self._plan = sorted((rng.uniform(0.0, stretch.span), rng.choice(stretch.faults)) for _ in range(count))
        self._attack = Attack(arena, runbook, rng, stretch.words, self._over.is_set)
        self._thread = threading.Thread(target=self._run, name="nemesis", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the fault in progress. Faults whose moment has not come are not injected."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        begun = time.monotonic()
        for delay, name in self._plan:
            if self._over.wait(max(0.0, begun + delay - time.monotonic())):
                return
            self._injected[name] += 1
            try:
                FAULTS[name](self._attack)
            except Exception as error:  # noqa: BLE001  # a fault that fails is no verdict on the product, but is noted
                self._arena.note(f"  fault: {name} itself failed: {type(error).__name__}: {error}")


POLL = 0.01  # seconds between two looks at the journal
TIMEOUT = 20.0  # seconds that a fault waits for its moment
PRECONDITION, MISMATCH = 4, 3
REPLAYED = 60  # records of an old batch at most
BRIEFLY = 0.1  # seconds


class Attack:
    """What a fault may use: the arena, the runbook, random choices, the stretch's command, and whether it has ended."""

    def __init__(
        self, arena: Arena, runbook: Runbook, rng: random.Random, words: Sequence[str], over: Callable[[], bool]
    ) -> None:
        self.arena = arena
        self.runbook = runbook
        self.rng = rng
        self.words = words
        self.over = over

    def note(self, text: str) -> None:
        self.arena.note(f"  fault: {text}")


def kill_runbook(attack: Attack) -> None:
    """Kill -9 of the command at whatever moment it is."""
    if attack.runbook.kill():
        attack.note("kill -9 of the runbook")


def kill_at_boundary(attack: Attack) -> None:
    """Kill -9 of the command right after the journal says that it passed its n-th step boundary."""
    wanted, seen = attack.rng.randint(1, 12), [""]
    deadline = time.monotonic() + TIMEOUT
    while not attack.over() and time.monotonic() < deadline:
        place = _place(attack.arena)
        if place not in {"", seen[-1]}:
            seen.append(place)
        if len(seen) > wanted:
            if attack.runbook.kill():
                attack.note(f"kill -9 of the runbook at a boundary: {place}")
            return
        time.sleep(POLL)


def _place(arena: Arena) -> str:
    """Where the operation under way is, as the journal has it; empty without one."""
    key = {"entity": {"S": arena.name}, "record": {"S": names.STATE_RECORD}}
    with contextlib.suppress(ClientError):
        item = arena.clients.dynamodb.get_item(TableName=arena.target.journal_table, Key=key).get("Item", {})
        operation = item.get("operation", {}).get("M", {})
        return " ".join(operation[part]["S"] for part in ("direction", "step", "step_state") if part in operation)
    return ""


def restart_database(attack: Attack) -> None:
    """Kill -9 of MariaDB, and its restart a moment later."""
    away = attack.rng.uniform(0.0, 1.0)
    attack.arena.sandbox.mariadb.kill()
    attack.note(f"kill -9 of the database, for {away:.1f} s")
    time.sleep(away)
    attack.arena.sandbox.mariadb.start()


def kill_workers(attack: Attack) -> None:
    """Kill -9 of some Lambda workers, whatever they are at."""
    found = attack.arena.workers()
    chosen = attack.rng.sample(found, min(len(found), attack.rng.randint(1, 3)))
    _kill(attack, chosen, "Lambda workers")


def kill_bridge(attack: Attack) -> None:
    """Kill -9 of the bridge's workers."""
    _kill(attack, attack.arena.workers(frozenset({attack.arena.deployed.bridge_function})), "workers of the bridge")


def kill_lane(attack: Attack) -> None:
    """Kill -9 of one worker of copy, in the middle of its batch as often as not."""
    lanes = attack.arena.workers(frozenset({attack.arena.target.copy_function}))
    _kill(attack, attack.rng.sample(lanes, min(1, len(lanes))), "worker of copy")


def _kill(attack: Attack, workers: Sequence[psutil.Process], what: str) -> None:
    for worker in workers:
        attack.arena.kills.append(time.monotonic())
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
        attack.arena.kills.append(time.monotonic())
    if workers:
        attack.note(f"kill -9 of {len(workers)} {what}")


def throttle(attack: Attack) -> None:
    """A share of the calls to one service is throttled for a while."""
    service = attack.rng.choice(("dynamodb", "rds-data", "lambda"))
    share, seconds = attack.rng.uniform(0.2, 0.6), attack.rng.uniform(0.5, 2.0)
    request_throttling(attack.arena, service, share, seconds)
    attack.note(f"{share:.0%} of the calls to {service} throttled for {seconds:.1f} s")


def request_throttling(arena: Arena, service: str, share: float, seconds: float) -> None:
    """Have the emulator throttle a share (0 to 1) of the calls to one service for so many seconds."""
    wanted = {"service": service, "share": share, "seconds": seconds}
    url = f"{arena.target.endpoint_url}{PATH}"
    request = urllib.request.Request(url, json.dumps(wanted).encode(), method="POST")  # noqa: S310  # loopback
    urllib.request.urlopen(request, timeout=5).close()  # noqa: S310  # loopback


def pause_bridge(attack: Attack) -> None:
    """The bridge's mapping is switched off for a moment, as an operator might do."""
    away, functions = attack.rng.uniform(0.3, 2.0), attack.arena.clients.functions
    mapping = attack.arena.deployed.bridge_mapping_id
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    attack.note(f"the bridge is paused for {away:.1f} s")
    time.sleep(away)
    while True:  # throttled meanwhile, it must be tried again
        try:
            functions.update_event_source_mapping(UUID=mapping, Enabled=True)
        except ClientError:
            time.sleep(BRIEFLY)
        else:
            return


def deliver_again(attack: Attack) -> None:
    """An old batch of the stream comes to the bridge once more."""
    records = stream(attack.arena)
    if not records:
        return
    start = attack.rng.randrange(len(records))
    batch = records[start : start + attack.rng.randint(1, REPLAYED)]
    failed = "" if deliver(attack.arena, batch) else " (it failed)"
    attack.note(f"{len(batch)} records from {start} of {len(records)} on delivered again{failed}")


def deliver(arena: Arena, batch: Sequence[Mapping[str, Any]]) -> bool:
    """Give records to the bridge, as its mapping does; whether it took them."""
    answer = arena.clients.functions.invoke(
        FunctionName=arena.deployed.bridge_function, Payload=json.dumps({"Records": batch}).encode()
    )
    return not answer.get("FunctionError")


def stream(arena: Arena) -> list[dict[str, Any]]:
    """All records that the bridge's filter lets through, from the stream's beginning, as Lambda gets them."""
    client = arena.sandbox.client("dynamodbstreams")
    arn = arena.deployed.stream_arn
    records: list[dict[str, Any]] = []
    with contextlib.suppress(ClientError):
        for shard in client.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            place = client.get_shard_iterator(
                StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while place:
                answer = client.get_records(ShardIterator=place)
                records += [_event(record, arn) for record in answer["Records"] if _passes(record)]
                place = answer.get("NextShardIterator") if answer["Records"] else None
    return records


def _passes(record: Mapping[str, Any]) -> bool:
    image = record["dynamodb"].get("NewImage", {})
    return record["eventName"] == "REMOVE" or names.ORIGIN_ATTRIBUTE not in image


def _event(record: dict[str, Any], arn: str) -> dict[str, Any]:
    data = record["dynamodb"]
    moment = data["ApproximateCreationDateTime"].timestamp()
    return {**record, "eventSourceARN": arn, "dynamodb": {**data, "ApproximateCreationDateTime": moment}}


def second_operator(attack: Attack) -> None:
    """Somebody else runs the same command at the same time."""
    ended = attack.runbook.once(attack.words)
    attack.note(f"a second operator ran the same command, which ended with {ended.code}: {ended.said}")
    if ended.code not in {DONE, REFUSED, PRECONDITION, MISMATCH, 1}:
        attack.arena.problem(f"the second operator's command ended with {ended.code}: {ended.said}")


FAULTS: Mapping[str, Fault] = {
    one.__name__: one
    for one in (
        kill_runbook,
        kill_at_boundary,
        restart_database,
        kill_workers,
        kill_bridge,
        kill_lane,
        throttle,
        pause_bridge,
        deliver_again,
        second_operator,
    )
}
