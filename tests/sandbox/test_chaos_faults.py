"""Each fault does the harm that its name says, and leaves the machine whole again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pymysql
import pytest
from botocore.exceptions import ClientError

from functions.domain import origin
from sandbox.chaos import adoption, final_state
from sandbox.chaos.commands import Runbook, StuckError
from sandbox.chaos.faults import FAULTS, Attack, workers
from sandbox.chaos.faults.deliver_again import deliver_again, stream
from sandbox.chaos.faults.end_connections import end_connections
from sandbox.chaos.faults.pause_bridge import pause_bridge
from sandbox.chaos.faults.restart_database import restart_database
from sandbox.chaos.faults.throttle import request_throttling
from sandbox.chaos.nemesis import Nemesis
from sandbox.chaos.scenario import Stretch, Variant, completion, stretches
from sandbox.database import tls
from sandbox.load import Load, shape_of

STATUS = ("status", "--entity", "chefs")
TIMEOUT = 30.0
EVERYTHING = Variant(direct=True, removes=True, streams=True, ranges=True)


@pytest.fixture
def attack(arena):
    arena.diary.clear()
    return Attack(arena, Runbook(arena), random.Random(1), STATUS, lambda: False)


def wait_for(happened):
    deadline = time.monotonic() + TIMEOUT
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Low:
    """Random choices that begin at the beginning and take all."""

    randrange = staticmethod(lambda _: 0)
    randint = staticmethod(lambda _, most: most)


def enabled(arena):
    mapping = arena.clients.functions.get_event_source_mapping(UUID=arena.deployed.bridge_mapping_id)
    return mapping["State"] == "Enabled"


def test_a_load_on_the_real_api_sees_no_failure_and_both_kinds_of_requests(arena):
    load = Load(arena.target, "chefs", writes_per_s=10, reads_per_s=20, seed=5).start()
    wait_for(lambda: load.counts["reads"] >= 20 and load.counts["writes"] >= 10)
    history = load.stop()
    assert history.failures == []
    assert {one.kind for one in history.attempts} >= {"POST", "GET"}


def test_the_database_is_killed_and_comes_back(arena, attack):
    before = arena.sandbox.database._process().pid
    restart_database(attack)
    assert arena.sandbox.database._process().pid != before
    assert "kill -9 of the database" in arena.diary[-1]


def test_connections_over_tcp_are_ended_and_others_are_not(arena, attack):
    database = arena.sandbox.database
    with database.connect() as kept:
        with kept.cursor() as cursor:
            cursor.execute("CREATE USER caller IDENTIFIED BY 'pass'")
        over_tcp = pymysql.connect(
            host=tls.ADDRESS, port=database.port, user="caller", password="pass", ssl_ca=str(database.authority)
        )
        end_connections(attack)
        with pytest.raises(pymysql.err.OperationalError):
            over_tcp.ping(reconnect=False)
        kept.ping(reconnect=False)
        with kept.cursor() as cursor:
            cursor.execute("DROP USER caller")
    assert "ended 1 connections to the database" in arena.diary[-1]
    assert arena.outages


def test_workers_are_killed_by_the_name_of_their_function(arena, attack):
    read = arena.target.entity("chefs").legacy_read_function
    client = Load(arena.target, "chefs", writes_per_s=0, reads_per_s=10).start()
    wait_for(lambda: arena.workers(frozenset({read})))
    client.stop()
    found = arena.workers(frozenset({read}))
    workers.kill(attack, found, "readers")
    wait_for(lambda: not any(worker.is_running() and worker.status() != "zombie" for worker in found))
    assert arena.kills


def test_calls_to_one_service_are_throttled_for_a_while(arena, attack):
    client = arena.clients.dynamodb_once
    request_throttling(arena, "dynamodb", share=1.0, seconds=0.5)
    with pytest.raises(ClientError, match="ThrottlingException"):
        client.list_tables()

    def passes():
        try:
            return bool(client.list_tables()["TableNames"])
        except ClientError:
            return False

    wait_for(passes)


def test_the_bridge_is_paused_and_goes_on(arena, attack):
    pause_bridge(attack)
    assert enabled(arena)
    assert "paused" in arena.diary[-1]


def test_an_old_batch_that_comes_again_changes_nothing(arena, attack):
    shape = shape_of(arena.target, "chefs")
    key = arena.entity.modern.key
    for value in ("first", "second"):
        item = {name: {"S": text} for name, text in shape.body(value).items()}
        arena.clients.dynamodb.put_item(TableName=arena.deployed.modern_table, Item={key: {"S": "again"}, **item})
    wait_for(lambda: [one.value for one in final_state.legacy(arena, shape) if one.key == "again"] == ["second"])
    before = final_state.legacy(arena, shape)
    attack.rng = Low()
    deliver_again(attack)
    assert "on delivered again" in arena.diary[-1]
    assert "failed" not in arena.diary[-1]
    assert final_state.legacy(arena, shape) == before


def test_a_replayed_stream_has_every_record_those_of_copy_too(arena):
    shape = shape_of(arena.target, "chefs")
    item = {name: {"S": text} for name, text in shape.body("copied").items()}
    item |= {arena.entity.modern.key: {"S": "copied"}, **origin.mark("copied", None)}
    arena.clients.dynamodb.put_item(TableName=arena.deployed.modern_table, Item=item)
    keys = [record["dynamodb"]["Keys"][arena.entity.modern.key]["S"] for record in stream(arena)]
    assert "copied" in keys


def test_a_killed_command_is_run_again_until_it_ends_well(arena):
    runbook, over = Runbook(arena), threading.Event()

    def kill_once():
        while not over.is_set() and not runbook.kill():
            time.sleep(0.01)

    killer = threading.Thread(target=kill_once)
    killer.start()
    assert runbook.until_done(STATUS).code == 0
    over.set()
    killer.join()
    assert runbook.tries == 2


def test_a_command_that_cannot_be_used_like_that_is_not_run_again(arena):
    runbook = Runbook(arena)
    with pytest.raises(StuckError, match="ended with 2"):
        runbook.until_done(("status", "--no-such-option"))
    assert runbook.tries == 1


def test_the_same_seed_plans_the_same_faults(arena):
    stretch = Stretch(name="any", words=STATUS, faults=tuple(FAULTS), many=(3, 6))

    def plan(seed):
        return Nemesis(arena, Runbook(arena), stretch, seed, Counter())._plan

    assert plan("1/0") == plan("1/0")
    assert plan("1/0") != plan("2/0")


def test_every_fault_of_the_scenario_exists_and_every_fault_is_in_the_scenario():
    own = (*stretches("chefs", EVERYTHING), completion("chefs"))
    shop = (*adoption.stretches("orders", EVERYTHING, again=True, connects=True), *adoption.completion("orders"))
    in_the_scenario = {name for stretch in (*own, *shop) for name in stretch.faults}
    assert in_the_scenario == set(FAULTS)
