"""What chaos found once: each seed that failed, as the smallest test of its cause."""

from __future__ import annotations

import json
import threading
import time

import pytest
from typer.testing import CliRunner

from functions.aws.mysql_errors import DataApiError
from functions.domain import changes, names
from functions.install import control_row, tables
from runbook.commands.cli import app
from runbook.verify import compare
from sandbox.chaos import final_state
from sandbox.chaos.commands import Runbook
from sandbox.chaos.faults.deliver_again import deliver, stream
from sandbox.load import shape_of

TIMEOUT = 60.0


def wait_for(happened):
    deadline = time.monotonic() + TIMEOUT
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def heartbeat(key, sequence):
    keys = {"ChefId": {"S": key}}
    image = {**keys, names.HEARTBEAT_ATTRIBUTE: {"S": "token"}}
    data = {"Keys": keys, "SequenceNumber": str(sequence), "NewImage": image}
    return {"eventName": "INSERT", "dynamodb": data}


def test_seed_1_a_watermark_does_not_overtake_the_heartbeat(arena):
    found = changes.from_stream(
        arena.entity, [heartbeat(names.HEARTBEAT_KEY, 1), heartbeat(f"{names.HEARTBEAT_KEY}-0001", 2)]
    )
    assert [change.sequence for change in found] == [1]


@pytest.mark.parametrize("code", [1060, 1061])
def test_seed_2_two_preparations_of_one_table_pass_each_other(arena, code):
    class Server:
        """Has nothing when it is asked, and everything when it is to be added."""

        there = False

        def query(self, sql, *_):
            if "processlist" in sql or not self.there:
                return []
            return [[{"stringValue": name}] for name in control_row.LATER_COLUMNS]

        def execute(self, *_):
            pass

        def once(self, *_, **__):
            self.there = True
            raise DataApiError("it is there", code)

        define, together = execute, once

    tables.prepare(Server(), arena.entity)


def test_seed_2_another_error_of_a_preparation_is_raised(arena):
    class Server:
        def query(self, *_):
            return []

        def execute(self, *_):
            raise DataApiError("no right to do that", 1142)

    with pytest.raises(DataApiError, match="no right"):
        tables.prepare(Server(), arena.entity)


def test_seed_2_operators_who_init_at_the_same_time_all_succeed(arena):
    runbook, codes = Runbook(arena), []
    threads = [threading.Thread(target=lambda: codes.append(runbook.once(("init",)).code)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [0, 0, 0]


def test_seed_6_without_a_database_a_command_says_so_and_does_not_fall(arena, monkeypatch):
    monkeypatch.setattr(compare, "TIMEOUT", 0.1)
    words = ("verify", "--entity", "chefs", "--outputs", str(arena.sandbox.location.outputs))
    arena.sandbox.database.kill()
    try:
        ended = CliRunner().invoke(app, words)
    finally:
        arena.sandbox.database.start()
    assert (ended.exit_code, type(ended.exception)) == (1, SystemExit)
    assert "Aurora" in ended.output


def test_seed_9_a_poison_record_that_was_corrected_is_not_quarantined_again_by_an_old_batch(arena):
    shape, key = shape_of(arena.target, "chefs"), arena.entity.modern.key
    runbook = Runbook(arena)

    def put(value):
        item = {name: {"S": text} for name, text in shape.body(value).items()}
        arena.clients.dynamodb.put_item(TableName=arena.deployed.modern_table, Item={key: {"S": "seed-9"}, **item})

    def quarantined():
        return "seed-9" in runbook.once(("quarantine", "list", "--entity", "chefs", "--json")).out

    put("x" * 400)
    wait_for(quarantined)
    put("corrected")
    wait_for(lambda: "corrected" in {found.value for found in final_state.legacy(arena, shape)})
    runbook.once(("quarantine", "drop", "seed-9", "--entity", "chefs", "--execute"))
    assert not quarantined()
    deliver(arena, [one for one in stream(arena) if "x" * 400 in str(one)])
    assert not quarantined()


@pytest.mark.parametrize("skew", [-250.0, pytest.param(205.0, marks=pytest.mark.long)])
def test_seed_1_of_ownership_an_operator_whose_clock_is_wrong_sees_that_lanes_report(arena, skew):
    runbook = Runbook(arena)
    assert runbook.once(("copy", "start", "--entity", "chefs")).code == 0
    assert runbook.once(("copy", "watch", "--entity", "chefs")).code == 0
    shown = json.loads(runbook.once(("copy", "status", "--entity", "chefs", "--json"), skew=skew).out)
    assert all(lane["age"] < 30 for lane in shown["entities"][0]["lanes"])
    planned = json.loads(runbook.once(("cutover", "writes", "--entity", "chefs", "--json"), skew=skew).out)
    assert [check["ok"] for check in planned["checks"] if check["name"] == "copy's lanes"] == [True]
