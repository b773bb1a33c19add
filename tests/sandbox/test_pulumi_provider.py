"""The provider for Pulumi's engine, call by call: no CLI is needed for these."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2 as protocol
from pulumi.runtime.rpc import UNKNOWN

from sandbox.engine import provider, values
from sandbox.engine.aws import Aws
from sandbox.engine.values import SECRET, SIGNATURE
from sandbox.pulumi_cli.provider import DEFAULTS, AwsProvider

provider.load()
LOGS, TABLE = "aws:cloudwatch/logGroup:LogGroup", "aws:dynamodb/table:Table"
STAGE, ROLE = "aws:apigateway/stage:Stage", "aws:iam/role:Role"
HIDDEN = {SIGNATURE: SECRET, "value": "hidden"}


class RefusedError(Exception):
    """What the call was ended with."""


class Context:
    def abort(self, code, details):
        assert code is grpc.StatusCode.UNKNOWN
        raise RefusedError(details)


@pytest.fixture
def aws():
    """The provider without an emulator: it must make no call."""
    return AwsProvider(Aws(""))


def struct(**properties):
    found = struct_pb2.Struct()
    found.update(properties)
    return found


def checked(aws, kind, olds=None, **news):
    request = protocol.CheckRequest(type=kind, name="logs", olds=olds or struct(), news=struct(**news))
    return aws.Check(request, Context())


def diffed(aws, kind, old, new):
    request = protocol.DiffRequest(type=kind, old_inputs=struct(**old), news=struct(**new))
    return aws.Diff(request, Context())


def test_a_name_is_made_once(aws):
    first = checked(aws, LOGS).inputs
    assert first["name"].startswith("logs-")
    assert list(first[DEFAULTS]) == ["name"]
    assert checked(aws, LOGS, olds=first).inputs["name"] == first["name"]


def test_a_name_that_the_program_gives_is_kept(aws):
    found = checked(aws, LOGS, name="mine").inputs
    assert found["name"] == "mine"
    assert list(found[DEFAULTS]) == []


def test_a_name_is_made_anew_where_the_program_gave_the_old_one(aws):
    assert checked(aws, LOGS, olds=checked(aws, LOGS, name="mine").inputs).inputs["name"] != "mine"


def test_an_unknown_property_is_a_failure_that_names_it(aws):
    assert [each.property for each in checked(aws, LOGS, height=3).failures] == ["height"]


def test_an_unknown_type_is_refused(aws):
    with pytest.raises(RefusedError, match=r"aws:sns/topic:Topic.*does not know"):
        checked(aws, "aws:sns/topic:Topic")


def test_equal_inputs_differ_in_nothing(aws):
    found = diffed(aws, LOGS, {"name": "a", DEFAULTS: ["name"]}, {"name": "a", DEFAULTS: []})
    assert found.changes == protocol.DiffResponse.DIFF_NONE


def test_what_changes_in_place_is_an_update(aws):
    found = diffed(aws, LOGS, {"retentionInDays": 7}, {"retentionInDays": 30, "tags": {"a": "b"}})
    assert (list(found.diffs), list(found.replaces)) == (["retentionInDays", "tags"], [])
    assert found.detailedDiff["retentionInDays"].kind == protocol.PropertyDiff.UPDATE
    assert found.detailedDiff["tags"].kind == protocol.PropertyDiff.ADD


def test_what_is_fixed_replaces_and_a_given_name_makes_room_first(aws):
    keys = {"hashKey": "a"}, {"hashKey": "b"}
    made = diffed(aws, TABLE, *({"name": "t", DEFAULTS: ["name"], **each} for each in keys))
    given = diffed(aws, TABLE, *({"name": "t", DEFAULTS: [], **each} for each in keys))
    assert list(made.replaces) == list(given.replaces) == ["hashKey"]
    assert (made.deleteBeforeReplace, given.deleteBeforeReplace) == (False, True)
    assert made.detailedDiff["hashKey"].kind == protocol.PropertyDiff.UPDATE_REPLACE


def test_an_unknown_value_of_what_is_fixed_may_replace(aws):
    found = diffed(aws, STAGE, {"restApi": "a", "stageName": "s"}, {"restApi": UNKNOWN, "stageName": "s"})
    assert list(found.replaces) == ["restApi"]
    assert found.deleteBeforeReplace


def test_a_preview_of_a_create_makes_no_call_and_keeps_secrets(aws):
    request = protocol.CreateRequest(type=ROLE, preview=True, properties=struct(name="r", description=HIDDEN))
    made = aws.Create(request, Context())
    assert made.id == ""
    assert made.properties["description"][SIGNATURE] == SECRET
    assert "arn" not in made.properties


def test_a_preview_of_an_update_keeps_the_outputs_and_makes_no_call(aws):
    old, new = {"name": "l", "retentionInDays": 7}, struct(name="l", retentionInDays=30)
    olds = struct(**old, arn="arn:l")
    request = protocol.UpdateRequest(type=LOGS, id="l", preview=True, olds=olds, old_inputs=struct(**old), news=new)
    found = values.decode(aws.Update(request, Context()).properties)
    assert found == {"name": "l", "retentionInDays": 30, "arn": "arn:l"}


def test_a_resource_that_the_program_did_not_make_is_not_read(aws):
    with pytest.raises(RefusedError, match="did not make"):
        aws.Read(protocol.ReadRequest(type=LOGS, id="other"), Context())
