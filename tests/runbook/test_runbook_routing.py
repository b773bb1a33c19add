"""Where the public endpoint goes, on a real API Gateway API."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from runbook.aws import api_gateway as routings
from runbook.aws.api_gateway import Routes, Side
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError, PreconditionError

BOTH_LEGACY = Routes(reads=Side.LEGACY, writes=Side.LEGACY)


@pytest.fixture
def chefs(bare):
    return bare.target.entity("chefs")


def _refuse_once(client, operation: str, code: str) -> list[str]:
    """Let the next call of an operation fail with `code`; the list says that it did."""
    said: list[str] = []

    def fail(**_):
        if not said:
            said.append(code)
            raise ClientError({"Error": {"Code": code, "Message": "forced"}}, operation)

    client.meta.events.register(f"before-call.api-gateway.{operation}", fail)
    return said


def test_reads_and_writes_move_apart_and_together(bare, chefs):
    assert bare.routing.routes(chefs) == BOTH_LEGACY
    assert bare.routing.route(chefs, Routes(reads=Side.MODERN))
    assert bare.routing.routes(chefs) == Routes(reads=Side.MODERN, writes=Side.LEGACY)
    assert bare.routing.route(chefs, Routes(reads=Side.LEGACY, writes=Side.MODERN))
    assert bare.routing.routes(chefs) == Routes(reads=Side.LEGACY, writes=Side.MODERN)


def test_other_variables_stay(bare, chefs):
    bare.routing.route(chefs, Routes(reads=Side.MODERN))
    assert bare.routing.variables()["another"] == "stays"


def test_routing_where_it_goes_already_changes_nothing(bare, chefs):
    assert not bare.routing.route(chefs, BOTH_LEGACY)


@pytest.mark.parametrize("code", ["ConflictException", "TooManyRequestsException"])
def test_a_busy_stage_is_tried_again(bare, chefs, code):
    said = _refuse_once(bare.clients.apigateway, "UpdateStage", code)
    assert bare.routing.route(chefs, Routes(writes=Side.MODERN))
    assert said == [code]
    assert bare.routing.routes(chefs).writes == Side.MODERN


def test_another_error_is_not_swallowed(bare, chefs):
    _refuse_once(bare.clients.apigateway, "UpdateStage", "BadRequestException")
    with pytest.raises(ClientError, match="forced"):
        bare.routing.route(chefs, Routes(writes=Side.MODERN))


def test_a_stage_that_never_takes_the_value_is_an_error(bare, chefs, monkeypatch):
    monkeypatch.setattr(routings, "TIMEOUT_SECONDS", 0.0)
    monkeypatch.setattr(bare.routing, "_patch", lambda *_: False)
    with pytest.raises(FailedError, match="chefs_writes"):
        bare.routing.route(chefs, Routes(writes=Side.MODERN))


def test_a_function_of_neither_system_is_reported_as_unknown_and_a_missing_one_as_unset(bare, chefs):
    bare.routing.set({"chefs_reads": "gone-7"})
    assert bare.routing.routes(chefs).reads == Side.UNKNOWN
    assert bare.routing.routes(EntityTarget(name="new")) == Routes(reads=Side.UNSET, writes=Side.UNSET)


def test_a_system_that_is_not_deployed_cannot_be_routed_to(bare):
    with pytest.raises(PreconditionError, match="no read function"):
        bare.routing.route(EntityTarget(name="chefs"), Routes(reads=Side.MODERN))
