"""The shop alone: every system that streamback adopts must run by itself first.

Its writer is in JavaScript, or its database has no Data API.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from shop_world import order, written_event
from typer.testing import CliRunner

from sandbox import lifecycle
from sandbox.brownfield import bringing_up, ledger
from sandbox.brownfield.database import Rds
from sandbox.brownfield.functions import function_name
from sandbox.cli import app
from sandbox.engine.aws import Aws
from sandbox.lifecycle import Sandbox
from sandbox.state import Folder

WRITERS = {"legacy": function_name("orders_write"), "modern": function_name("orders_write_v3")}
READERS = {"legacy": function_name("orders_read"), "modern": function_name("orders_read_v3")}

NODE = pytest.mark.skipif(shutil.which("node") is None, reason="this machine has no Node.js")
SHOPS = {"javascript": {"javascript": True}, "instance": {"rds": Rds.INSTANCE}, "provisioned": {"rds": Rds.PROVISIONED}}


KINDS = [
    pytest.param("javascript", marks=NODE),
    "instance",
    pytest.param("provisioned", marks=pytest.mark.long),  # its clients find it as they find an instance
]


@pytest.fixture(scope="module", params=KINDS)
def name(request):
    found = f"test-{os.getpid()}-{request.param}"
    try:
        bringing_up.shop(found, 12, **SHOPS[request.param])
        yield found
    finally:
        lifecycle.down(found)


def test_what_is_up_with_the_shop_is_brought_up_with_it_again(name):
    with_another = CliRunner().invoke(app, ["up", "--name", name, "--entities", "entities.toml"])
    assert with_another.exit_code == 1
    assert "the shop has a mapping of its own" in with_another.stderr


def test_the_kind_of_its_database_cannot_be_changed(name):
    made = bringing_up.shop(name).database.rds
    other = min(set(Rds) - {made})
    refused = CliRunner().invoke(app, ["up", "--name", name, "--brownfield", "--rds", other])
    assert refused.exit_code == 1
    assert f"has a shop on {made} RDS, which cannot become {other}" in refused.stderr.replace("\n", " ")


def test_without_a_shop_no_kind_of_database_can_be_chosen(sandbox):
    refused = CliRunner().invoke(app, ["up", "--name", sandbox.name, "--rds", "instance"])
    assert refused.exit_code == 1
    assert "--rds needs --brownfield" in refused.stderr


def test_a_shop_without_the_data_api_names_the_other_transport(name):
    made = bringing_up.shop(name)
    assert made.adoption()["cluster"].get("transport") == (None if made.database.rds.has_data_api else "mysql")
    assert made.database.arn.split(":")[5] == ("db" if made.database.rds is Rds.INSTANCE else "cluster")


def test_the_shop_is_not_emptied(name):
    refused = CliRunner().invoke(app, ["reset", "--name", name])
    assert refused.exit_code == 1
    assert "which `reset` does not make again" in refused.stderr.replace("\n", " ")


def test_half_a_shop_is_not_gone_on_with(name):
    kept = Folder.of(name).path / bringing_up.KEPT
    made = kept.read_text()
    kept.write_text("{}")  # as a process leaves it that was killed meanwhile
    again = CliRunner().invoke(app, ["up", "--name", name, "--brownfield"])
    kept.write_text(made)
    assert again.exit_code == 1
    said = again.stderr.replace("\n", " ")
    assert f"sandbox down --name {name}`, then run `sandbox up --brownfield --name {name}" in said


def test_a_stack_without_the_shop_is_not_replaced_by_one_with_it(sandbox):
    refused = CliRunner().invoke(app, ["up", "--name", sandbox.name, "--brownfield"])
    assert refused.exit_code == 1
    assert "has a stack without the shop" in refused.stderr
    assert not bringing_up.is_there(sandbox.name)


@pytest.fixture(scope="module")
def call(name):
    """Invokes a function with an event; status and body of its answer."""
    functions = Aws(lifecycle.start(name).endpoint).client("lambda")

    def invoke(function, event):
        answer = json.loads(functions.invoke(FunctionName=function, Payload=json.dumps(event))["Payload"].read())
        return answer["statusCode"], json.loads(answer["body"])

    return invoke


def until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)  # InnoDB's view of transactions changes only when it was not read for a tenth of a second


def _of(key, method, body=None):
    return {**written_event(body), "httpMethod": method, "pathParameters": {"orderId": key}}


def test_the_shop_has_rows_of_years_ago(name):
    notes = ledger.present(Sandbox(Folder.of(name), {}))
    assert len(notes) == 12
    assert notes["A-00000001"] == "before-1"
    assert notes["A-00000004"] == "None"


@pytest.mark.parametrize("system", WRITERS)
def test_both_systems_answer_alike(call, system):
    body = order(note="€ 🍕")
    key = body["data"]["order_id"]
    assert call(WRITERS[system], written_event(body)) == (201, body)
    status, again = call(WRITERS[system], written_event(body))
    assert (status, list(again)) == (200, ["errorMessage"])
    changed = order(order_id=key, note=None)
    assert call(WRITERS[system], _of(key, "PUT", changed)) == (202, changed)
    status, found = call(READERS[system], _of(key, "GET"))
    assert (status, {**found["data"], "placed_at": ""}) == (200, {**changed["data"], "placed_at": ""})
    assert call(WRITERS[system], _of(key, "DELETE")) == (200, {"data": {"order_id": key, "deleted": True}})
    assert call(WRITERS[system], _of(key, "DELETE"))[0] == call(READERS[system], _of(key, "GET"))[0] == 404


def test_a_transaction_that_mysql_ends_as_a_deadlock_is_run_again(name, call):
    if bringing_up.shop(name).database.rds.has_data_api:
        pytest.skip("its statements are transactions of their own")
    key, changed = "A-00000001", order(order_id="A-00000001", note="again")
    database = Sandbox(Folder.of(name), {}).database
    with (
        ThreadPoolExecutor(1) as thread,
        closing(database.connect(database="shop")) as looking,
        closing(database.connect(database="shop")) as other,
        other.cursor() as cursor,
        looking.cursor() as looked,
    ):
        other.begin()
        cursor.execute("UPDATE orders SET note = 'other' WHERE order_id > %s", (key,))  # more work, so not the victim
        cursor.execute("SELECT id FROM order_audit FOR UPDATE")
        answer = thread.submit(call, WRITERS["legacy"], _of(key, "PUT", changed))
        until(lambda: looked.execute("SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"))
        cursor.execute("SELECT note FROM orders WHERE order_id = %s FOR UPDATE", (key,))
        assert cursor.fetchone() == ("before-1",)  # MySQL has undone what the function wrote
        other.rollback()
        assert answer.result() == (202, changed)
