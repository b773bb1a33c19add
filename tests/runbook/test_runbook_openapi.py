"""`runbook openapi`: the contract that the stack's clients see, and whether both systems keep to it."""

from __future__ import annotations

import json

import pytest
from openapi_schema_validator import OAS30Validator
from openapi_spec_validator import validate
from typer.testing import CliRunner

from runbook.aws.http import path
from runbook.commands.cli import app
from runbook.smoke.own import FIRST, SECOND, sample

SYSTEMS = ("aurora", "dynamo")
NOWHERE = "123456789"
WRONG = ({}, [], 1e400, "\ud800", {"a": [None]}, -(2**70), "x" * 100_001, True)


@pytest.fixture
def runbook(sandbox, tmp_path):
    """What the command prints for the shared sandbox."""
    saved = tmp_path / "outputs.json"
    saved.write_text(json.dumps(dict(sandbox.outputs)))
    return lambda *words: CliRunner().invoke(app, ["openapi", *words, "--outputs", str(saved)])


@pytest.fixture
def contract(runbook):
    return json.loads(runbook().stdout)


@pytest.fixture
def ask(prepared, contract):
    """Sends a request to one system's own route, and checks the answer by the contract."""

    def send(system, method, *parts, body=None):
        answer = prepared.api.once(method, path(system, *parts), body)
        place = "/" + "/".join([parts[0], *("{id}" for _ in parts[1:])])
        documented = contract["paths"][place][method.lower()]["responses"]
        assert str(answer.status) in documented, answer
        content = documented[str(answer.status)].get("content")
        assert (answer.body is None) == (content is None)
        if content:
            schema = {**contract, **content["application/json"]["schema"]}  # its references are to the whole document
            OAS30Validator(schema).validate(answer.body)
        return answer

    return send


def test_it_is_openapi_for_every_entity_or_for_those_that_are_named(runbook, contract, sandbox):
    validate(contract)
    assert contract["paths"].keys() == {"/chefs", "/chefs/{id}", "/specimens", "/specimens/{id}"}
    assert contract["servers"] == [{"url": sandbox.outputs["apiUrl"]}]
    assert json.loads(runbook("--entity", "chefs").stdout)["paths"].keys() == {"/chefs", "/chefs/{id}"}


@pytest.mark.parametrize("entity", ["chefs", "specimens"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_record_is_made_changed_and_deleted_by_the_contract(prepared, ask, system, entity):
    described = prepared.target.mapping[entity]
    key = str(ask(system, "POST", entity, body=sample(described, FIRST)).body["id"])
    statuses = [
        ask(system, "GET", entity).status,
        ask(system, "GET", entity, key).status,
        ask(system, "PUT", entity, key, body=sample(described, SECOND)).status,
        ask(system, "DELETE", entity, key).status,
        ask(system, "GET", entity, key).status,
        ask(system, "PUT", entity, key, body=sample(described, SECOND)).status,
        ask(system, "DELETE", entity, key).status,
    ]
    assert statuses == [200, 200, 200, 204, 404, 404, 404]


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_wrong_value_of_any_field_is_answered_by_the_contract(prepared, ask, system):
    described = prepared.target.mapping["specimens"]
    good = sample(described, FIRST)
    made = []
    for name in described.fields:
        for wrong in WRONG:
            answer = ask(system, "POST", "specimens", body={**good, name: wrong})
            made += [str(answer.body["id"])] if answer.status == 201 else []
    for body in (None, [], {}, {**good, "id": NOWHERE}, {**good, "wings": 2}):
        assert ask(system, "POST", "specimens", body=body).status == 400
    for key in made:
        assert ask(system, "DELETE", "specimens", key).status == 204
