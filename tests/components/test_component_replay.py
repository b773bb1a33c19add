"""bridge = "replay" as the program describes it: the bridge may call legacy's function, and takes small batches."""

from __future__ import annotations

import json

import pytest

MAPPING = """
[chefs]
bridge = "{bridge}"
legacy = {{ database = "chefdb", table = "cheftable", key = "id", key_type = "string" }}
modern = {{ table = "chef", key = "ChefId" }}
[chefs.fields]
firstName = {{ column = "cheffirst", type = "string", max_length = 255 }}
[chefs.api]
writes = ["POST /chefs", "PUT /chefs/{{id}}", "DELETE /chefs/{{id}}"]
[chefs.calls]
create = {{ call = "POST /chefs", body = {{ id = "{{id}}", name = "{{firstName}}" }} }}
update = {{ call = "PUT /chefs/{{id}}", body = {{ name = "{{firstName}}" }} }}
delete = {{ call = "DELETE /chefs/{{id}}" }}
"""
CLUSTER = {
    "arn": "arn:aws:rds:us-east-1:111122223333:cluster:kitchen",
    "secretArn": "arn:aws:secretsmanager:us-east-1:111122223333:secret:kitchen-AbCdEf",
    "subnetIds": ["subnet-0a1b", "subnet-0c2d"],
    "securityGroupId": "sg-0a1b",
}
WRITER = "arn:of:kitchen-write-30:live"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Of a stack that adopts a kitchen, whose legacy writer may run so many seconds."""

    def of(bridge, timeout=30):
        place = tmp_path_factory.mktemp("kitchen") / "entities.toml"
        place.write_text(MAPPING.format(bridge=bridge))
        functions = {name: f"kitchen-{name.lower()}-10" for name in ("legacyReads", "modernReads", "modernWrites")}
        functions["legacyWrites"] = f"kitchen-write-{timeout}:live"
        adopt = {"cluster": CLUSTER, "api": {"id": "a1b2c3d4e5", "stage": "live"}, "entities": {"chefs": functions}}
        return {"entitiesFile": str(place), "adopt": json.dumps(adopt)}

    return of


def rights(stack):
    """Which statements of the bridge's role name legacy's writer."""
    policy = json.loads(stack.one("rolePolicy:RolePolicy", "bridge-chefs-writer")["inputs"]["policy"])
    return [each for each in policy["Statement"] if WRITER in each["Resource"]]


def test_the_bridge_may_call_exactly_legacys_write_function_by_its_alias(describe, settings):
    stack = describe(**settings("replay"))
    assert rights(stack) == [{"Effect": "Allow", "Action": ["lambda:InvokeFunction"], "Resource": [WRITER]}]
    variables = stack.one("function:Function", "bridge-chefs-writer")["inputs"]["environment"]["variables"]
    assert (variables["REPLAY_FUNCTION"], variables["REPLAY_TIMEOUT"]) == ("kitchen-write-30:live", "30")
    assert stack.outputs["entities"]["chefs"]["legacyWriteTimeout"] == 30


def test_its_batches_are_small_and_its_timeout_leaves_room_for_calls(describe, settings):
    stack = describe(**settings("replay"))
    mapping = stack.one("eventSourceMapping:EventSourceMapping")["inputs"]
    assert (mapping["batchSize"], mapping["maximumBatchingWindowInSeconds"]) == (100, 0)
    assert stack.one("function:Function", "bridge-chefs-writer")["inputs"]["timeout"] == 180


def test_a_direct_bridge_may_call_no_function_of_the_teams(describe, settings):
    stack = describe(**settings("direct"))
    assert rights(stack) == []
    assert (
        "REPLAY_FUNCTION"
        not in stack.one("function:Function", "bridge-chefs-writer")["inputs"]["environment"]["variables"]
    )
    assert stack.one("eventSourceMapping:EventSourceMapping")["inputs"]["batchSize"] == 1000


def test_a_legacy_function_that_may_run_too_long_is_refused(run, settings):
    done = run(**settings("replay", 301))
    assert done.returncode
    assert "adopt.entities.chefs.legacyWrites: expected a timeout of 300 seconds at most" in done.stderr
