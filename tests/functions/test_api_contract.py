"""One contract for both systems, through the deployed API: a client cannot see which one answered."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote, unquote

import pytest

from runbook.aws.clients import Clients
from runbook.aws.http import ApiClient

SPECIMEN = {"label": "x", "price": "1.50", "found": "2026-01-31T12:00:00+02:00"}


@pytest.fixture(scope="module")
def target(prepared):
    return prepared.target


@pytest.fixture(scope="module")
def api(target):
    return ApiClient(target, Clients(target).session)


@pytest.fixture(params=["/aurora", "/dynamo"])
def system(request):
    return request.param


def until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.05)
    return found


def test_a_record_is_created_read_replaced_and_deleted(api, system):
    made = api.request("POST", f"{system}/chefs", {"firstName": "Ana"})
    assert made.status == 201
    assert made.body == {"id": made.body["id"], "firstName": "Ana", "lastName": "Ramsay"}
    place = f"{system}/chefs/{made.body['id']}"
    assert api.get(place).body == made.body
    changed = api.request("PUT", place, {"firstName": "Anja", "lastName": None})
    assert (changed.status, changed.body) == (200, {**made.body, "firstName": "Anja", "lastName": None})
    assert api.request("PUT", place, changed.body).body == changed.body
    assert api.get(place).body == changed.body
    assert api.request("DELETE", place).status == 204
    for method, body in (("GET", None), ("PUT", {}), ("DELETE", None)):
        assert api.request(method, place, body).status == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"firstName": 7}, "firstName"),
        ({"lastName": "x" * 256}, "lastName"),
        ({"middleName": "x"}, "middleName"),
        ({"id": "5"}, "id"),
        ([1], "body"),
        ("text", "body"),
    ],
)
def test_a_bad_body_is_refused_with_its_fields_name(api, system, body, field):
    answer = api.request("POST", f"{system}/chefs", body)
    assert (answer.status, answer.body["field"]) == (400, field)


@pytest.mark.parametrize(
    ("query", "field"),
    [({"limit": 0}, "limit"), ({"limit": 1001}, "limit"), ({"limit": "x"}, "limit"), ({"cursor": "x"}, "cursor")],
)
def test_a_bad_query_is_refused_with_its_parameters_name(api, system, query, field):
    answer = api.get(f"{system}/chefs", **query)
    assert (answer.status, answer.body["field"]) == (400, field)


def test_the_other_systems_cursor_is_refused_with_what_to_do(api, system):
    for _ in range(2):
        assert api.request("POST", f"{system}/chefs", {}).status == 201
    cursor = api.get(f"{system}/chefs", limit=1).body["cursor"]
    other = {"/aurora": "/dynamo", "/dynamo": "/aurora"}[system]
    answer = api.get(f"{other}/chefs", cursor=cursor)
    assert answer.status == 400
    assert "start the listing again" in answer.body["message"]


def test_pages_show_every_record_once(api, system):
    made = {api.request("POST", f"{system}/chefs", {"firstName": f"{n}"}).body["id"] for n in range(7)}
    seen, cursor = [], None
    while True:
        page = api.get(f"{system}/chefs", limit=3, **({"cursor": cursor} if cursor else {})).body
        seen += [record["id"] for record in page["items"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert made <= set(seen)


@pytest.mark.parametrize("key", ["😀", "ключ", "a b", '"', "' OR 1=1", "%41", "a#b?c"])
def test_any_key_in_a_path_is_a_key(api, system, key):
    answer = api.get(f"{system}/chefs/{quote(key, safe='')}")
    assert (answer.status, answer.body["message"]) == (404, "There is no such record.")


@pytest.mark.parametrize(
    "key", ["%41", "100%25", "a/b", "/", "a+b", "a b", "a.b", "a%2Fb", "🍕", "?x=1#y", "k" * 255], ids=str.encode
)
def test_every_key_is_reachable_in_both_systems_and_no_other_by_it(api, target, key):
    dynamodb, place = Clients(target).dynamodb, quote(key, safe="")
    for each in (key, unquote(key), quote(key, safe="")):
        item = {"ChefId": {"S": each}, "firstName": {"S": each}}
        dynamodb.put_item(TableName=target.entity("chefs").modern_table, Item=item)
    others = {unquote(key), quote(key, safe="")} - {key}
    until(lambda: all(api.get(f"/aurora/chefs/{quote(each, safe='')}").status == 200 for each in {key, *others}))
    for system in ("/aurora", "/dynamo"):
        found = api.get(f"{system}/chefs/{place}")
        assert (found.status, found.body["id"], found.body["firstName"]) == (200, key, key)
        assert api.request("PUT", f"{system}/chefs/{place}", {"firstName": key}).status == 200
        assert api.request("DELETE", f"{system}/chefs/{place}").status == 204
        for each in others:
            assert api.get(f"{system}/chefs/{quote(each, safe='')}").status == 200


def test_a_record_over_400_kb_is_too_large_for_both(api, system):
    body = {**SPECIMEN, "notes": "x" * 410_000}
    assert api.request("POST", f"{system}/specimens", body).status == 413


def test_a_record_of_almost_400_kb_is_kept_by_both(api, system):
    body = {**SPECIMEN, "notes": "ü" * 190_000}
    made = api.request("POST", f"{system}/specimens", body)
    assert made.status == 201
    assert api.get(f"{system}/specimens/{made.body['id']}").body["notes"] == body["notes"]


def test_every_type_is_shown_alike_by_both(api):
    body = {
        **SPECIMEN,
        "cells": -(2**63),
        "weight": 12.5,
        "checked": True,
        "labelled": "2026-11-23T09:00:00.123456Z",
        "birthday": "1999-12-31",
        "genome": base64.b64encode(bytes(range(256))).decode(),
        "traits": {"é": [1, 2.5, None, True, {"x": ""}, 2**64 - 1]},
        "barcode": 2**64 - 1,
        "drawer": -128,
        "shelf": " a b",
        "checksum": "AQIDBA==",
        "state": "stored",
        "seen": "2026-01-31T12:00:00.5+02:00",
    }
    shown = [api.request("POST", f"{system}/specimens", body).body for system in ("/aurora", "/dynamo")]
    for record in shown:
        record.pop("id")
    assert shown[0] == shown[1]
    assert (shown[0]["weight"], shown[0]["found"]) == ("12.5", "2026-01-31T10:00:00.000000Z")
    assert (shown[0]["barcode"], shown[0]["seen"]) == (2**64 - 1, "2026-01-31T10:00:01.000000Z")


def test_an_unsigned_request_is_refused(target, monkeypatch):
    unsigned = ApiClient(target, Clients(target).session)
    monkeypatch.setattr(unsigned, "_sign", lambda _: None)
    assert unsigned.get("/aurora/chefs").status == 403


def test_a_modern_write_of_every_type_comes_back_equal_through_the_bridge(api):
    body = {**SPECIMEN, "notes": "👩‍🍳'\"\\\x00", "traits": {"a": [1e100, 0.1]}, "genome": "AP8="}
    body |= {"barcode": 2**64 - 1, "checksum": "AAAAAA==", "shelf": " a", "state": "stored"}
    body["seen"] = "2026-01-31T10:00:00.5Z"
    made = api.request("POST", "/dynamo/specimens", body).body
    until(lambda: api.get(f"/aurora/specimens/{made['id']}").body == made)
    assert api.request("DELETE", f"/dynamo/specimens/{made['id']}").status == 204
    until(lambda: api.get(f"/aurora/specimens/{made['id']}").status == 404)


def test_a_record_that_aurora_never_takes_is_quarantined_and_its_neighbours_arrive(api, sandbox):
    table = sandbox.outputs["entities"]["chefs"]["modernTable"]
    client = sandbox.client("dynamodb")
    keys = [f"poison-{number}" for number in range(20)]
    for number, key in enumerate(keys):
        name = "x" * 256 if number == 11 else f"neighbour {number}"
        client.put_item(TableName=table, Item={"ChefId": {"S": key}, "firstName": {"S": name}})
    for key in keys[:11] + keys[12:]:
        until(lambda key=key: api.get(f"/aurora/chefs/{key}").status == 200)
    place = {"entity": {"S": "chefs"}, "item_key": {"S": keys[11]}}
    entry = until(lambda: client.get_item(TableName=sandbox.outputs["quarantineTable"], Key=place).get("Item"))
    assert "255" in entry["reason"]["S"]
    assert api.get(f"/aurora/chefs/{keys[11]}").status == 404
    client.delete_item(TableName=sandbox.outputs["quarantineTable"], Key=place)
    for key in keys:
        client.delete_item(TableName=table, Key={"ChefId": {"S": key}})


def test_nothing_is_lost_while_the_database_is_killed_and_started_again(api, sandbox):
    database = sandbox.database
    made = [api.request("POST", "/dynamo/chefs", {"firstName": f"before {number}"}).body for number in range(10)]
    database.kill()
    try:
        made += [api.request("POST", "/dynamo/chefs", {"firstName": f"while {number}"}).body for number in range(10)]
        answer = api._send("GET", "/aurora/chefs", None, {})
        assert (answer.status, answer.body["error"]) == (503, "unavailable")
        assert "MySQL" not in json.dumps(answer.body)
    finally:
        database.start()
    made += [api.request("POST", "/dynamo/chefs", {"firstName": f"after {number}"}).body for number in range(10)]
    for record in made:
        until(lambda record=record: api.get(f"/aurora/chefs/{record['id']}").body == record)


def test_what_a_copy_wrote_does_not_come_back(api, sandbox):
    table = sandbox.outputs["entities"]["chefs"]["modernTable"]
    client = sandbox.client("dynamodb")
    item = {"ChefId": {"S": "copied"}, "firstName": {"S": "x"}, "streamback_origin": {"S": "legacy"}}
    client.put_item(TableName=table, Item=item)
    made = api.request("POST", "/dynamo/chefs", {"firstName": "later"}).body
    until(lambda: api.get(f"/aurora/chefs/{made['id']}").status == 200)
    assert api.get("/aurora/chefs/copied").status == 404
    changed = api.request("PUT", "/dynamo/chefs/copied", {"firstName": "y"})
    assert changed.status == 200
    assert "streamback_origin" not in client.get_item(TableName=table, Key={"ChefId": {"S": "copied"}})["Item"]
    until(lambda: api.get("/aurora/chefs/copied").body == changed.body)
    assert api.request("DELETE", "/dynamo/chefs/copied").status == 204


@pytest.fixture
def odd(api, sandbox, system):
    """A record of this system that does not fit the mapping, beside one that does: their ids."""
    good, bad = (api.request("POST", f"{system}/specimens", SPECIMEN).body["id"] for _ in range(2))
    if system == "/aurora":
        with sandbox.database.connect() as connection, connection.cursor() as cursor:
            cursor.execute("UPDATE museum.specimen SET is_extinct = 7 WHERE specimen_no = %s", (bad,))
    else:
        item = {"SpecimenId": {"S": bad}, "extinct": {"N": "7"}}
        table = sandbox.outputs["entities"]["specimens"]["modernTable"]
        sandbox.client("dynamodb").put_item(TableName=table, Item=item)
    yield good, bad
    assert [api.request("DELETE", f"{system}/specimens/{key}").status for key in (good, bad)] == [204, 204]


def everything(api, place):
    """The ids of a whole listing: those of its records, and those that it names as unrepresentable."""
    served, named, more = [], [], {}
    while True:
        page = api.get(place, limit=1000, **more).body
        served += [record["id"] for record in page["items"]]
        named += page.get("unrepresentable", [])
        more = {"cursor": page["cursor"]}
        if page["cursor"] is None:
            return served, named


def test_a_record_that_does_not_fit_the_mapping_is_named_and_its_neighbours_are_served(api, system, odd):
    good, bad = odd
    answer = api.get(f"{system}/specimens/{bad}")
    assert (answer.status, answer.body["error"], answer.body["field"]) == (422, "unrepresentable", "extinct")
    served, named = everything(api, f"{system}/specimens")
    assert (good in served, bad in served, named) == (True, False, [bad])
    assert api.request("PUT", f"{system}/specimens/{bad}", SPECIMEN).status == 200
    assert api.get(f"{system}/specimens/{bad}").status == 200
    assert everything(api, f"{system}/specimens")[1] == []


def test_a_heartbeat_is_no_record_of_the_modern_api(api, sandbox):
    table = sandbox.outputs["entities"]["chefs"]["modernTable"]
    item = {"ChefId": {"S": "streamback-probe"}, "streamback_probe": {"S": "token"}}
    sandbox.client("dynamodb").put_item(TableName=table, Item=item)
    assert api.get("/dynamo/chefs/streamback-probe").status == 404
    assert api.request("DELETE", "/dynamo/chefs/streamback-probe").status == 404
    sandbox.client("dynamodb").delete_item(TableName=table, Key={"ChefId": item["ChefId"]})
