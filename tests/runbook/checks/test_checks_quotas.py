"""The checks of AWS's quotas: green on the sandbox, red for what its account, or its stage, could not take."""

from __future__ import annotations

import pytest
from own_table import ENTITY

from runbook.checks import quotas


def found(context):
    return {each.name: each for each in quotas.checks(context, context.target.entity(ENTITY))}


def test_the_sandbox_has_enough_of_each(context):
    checks = found(context)
    assert [each.ok for each in checks.values()] == [True] * 3
    assert checks["stage variables"].value == "4"
    assert checks["api resources"].value == "15"


def test_a_new_accounts_ten_calls_at_once_are_red_with_what_is_needed(context, monkeypatch):
    new = {"AccountLimit": {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}}
    monkeypatch.setattr(context.clients.functions, "get_account_settings", lambda: new)
    check = found(context)["lambda concurrency"]
    assert (check.ok, check.value) == (False, "10 at once")
    assert check.limit.startswith("50 at least")
    assert quotas.LAMBDA in check.remedy


@pytest.fixture
def variables(context):
    """Adds stage variables; they are gone at the end."""
    client, target = context.clients.apigateway, context.target
    place, added = {"restApiId": target.api_id, "stageName": target.stage_name}, [f"of_a_test_{n}" for n in range(97)]

    def patch(operation, **value):
        operations = [{"op": operation, "path": f"/variables/{name}", **value} for name in added]
        client.update_stage(**place, patchOperations=operations)

    yield lambda: patch("replace", value="x")
    patch("remove")


def test_more_variables_than_a_stage_may_have_are_red(context, variables):
    variables()
    check = found(context)["stage variables"]
    assert (check.ok, check.value) == (False, "101")
    assert quotas.REST_APIS in check.remedy
