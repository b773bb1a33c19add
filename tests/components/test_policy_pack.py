"""The policy pack as Pulumi runs it: a process that is asked, over gRPC, about each resource and the whole stack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from policy.pack import RULES  # declares them all

ROOT = Path(__file__).parents[2]
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"  # Pulumi's own for a text that a preview does not know
TABLE = "dynamodb/table:Table"


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A channel to the running pack; Pulumi starts it in another folder than the project's."""
    command = [sys.executable, "-u", str(ROOT / "policy")]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=elsewhere) as process:
        assert process.stdout
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
        process.terminate()


def of_stack(each):
    """A described resource as the engine sends it at the end of a preview."""
    return analyzer_pb2.AnalyzerResource(
        type=each["type"],
        urn=each["urn"],
        name=each["name"],
        properties=json_format.ParseDict(each["inputs"], analyzer_pb2.AnalyzerResource().properties),
        options={"protect": each["protect"]},
        dependencies=each["depends"],
    )


def root(stack):
    outputs = {key: value for key, value in stack.outputs.items() if key == "production"}
    urn = "urn:pulumi:dev::streamback::pulumi:pulumi:Stack::streamback-dev"
    each = {"type": "pulumi:pulumi:Stack", "urn": urn, "name": "streamback-dev", "inputs": outputs}
    return of_stack({**each, "protect": False, "depends": []})


def violated(response):
    """{(policy, URN)} of a response, all of which stop the deployment."""
    assert {each.enforcementLevel for each in response.diagnostics} <= {analyzer_pb2.MANDATORY}
    return {(each.policyName, each.urn) for each in response.diagnostics}


def of_one(pack, each, **properties):
    made = of_stack({**each, "inputs": {**each["inputs"], **properties}})
    request = analyzer_pb2.AnalyzeRequest(
        type=made.type, urn=made.urn, name=made.name, properties=made.properties, options=made.options
    )
    return {policy for policy, _ in violated(pack.Analyze(request))}


def of_all(pack, stack, change=lambda each: each):
    sent = [root(stack), *(of_stack(change(each)) for each in stack.resources)]
    return violated(pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=sent)))


def test_the_pack_has_every_rule_and_all_are_mandatory(pack):
    info = pack.GetAnalyzerInfo(empty_pb2.Empty())
    assert {each.name: each.description for each in info.policies} == {each.name: each.says for each in RULES}
    assert {each.enforcementLevel for each in info.policies} == {analyzer_pb2.MANDATORY}


def test_the_program_passes(pack, stack, production):
    for described in (stack, production):
        assert of_all(pack, described) == set()
    for each in production.resources:
        assert of_one(pack, each) == set()


def test_a_rule_over_one_resource_stops_it_before_it_is_made(pack, stack):
    table = stack.one(TABLE, "chefs")
    assert of_one(pack, table, pointInTimeRecovery={"enabled": False}) == {"tables-can-be-restored"}


def test_what_a_preview_does_not_know_is_passed_over(pack, stack):
    rights = stack.one("rolePolicy:RolePolicy", "chefs-writer")
    assert of_one(pack, rights, policy=UNKNOWN_TEXT) == set()
    destination = {"onFailure": {"destinationArn": UNKNOWN_TEXT}}
    mapping = stack.one("eventSourceMapping:EventSourceMapping")
    assert of_one(pack, mapping, destinationConfig=destination) == set()


def test_production_is_known_by_the_stacks_outputs(pack, stack, production):
    def unprotected(each):
        return {**each, "protect": False}

    assert of_all(pack, stack, unprotected) == set()
    found = of_all(pack, production, unprotected)
    assert {policy for policy, _ in found} == {"production-data-is-protected"}
    assert production.one(TABLE, "journal")["urn"] in {urn for _, urn in found}


def test_a_rule_over_several_resources_reports_the_one_to_change(pack, stack):
    def silent(each):
        return {**each, "inputs": {**each["inputs"], "metricName": "Other"}} if "late" in each["name"] else each

    writer = stack.one("function:Function", "chefs-writer")["urn"]
    assert of_all(pack, stack, silent) == {("bridge-writers-have-alarms", writer)}
