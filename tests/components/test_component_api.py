"""The REST API as the program describes it: its routes, who decides them, and when it is deployed again."""

from __future__ import annotations

import fnmatch

import pytest

from components import routes

COLLECTION, ITEM = ("GET", "POST"), ("GET", "PUT", "DELETE")
LEGACY = '["legacy"]'


def path_of(stack, resource_id):
    """The path of an API Gateway resource by its id."""
    if resource_id == "root":
        return ""
    found = next(each for each in stack.of("resource:Resource") if f"{each['name']}-id" == resource_id)
    return f"{path_of(stack, found['inputs']['parentId'])}/{found['inputs']['pathPart']}"


def integrations(stack):
    """{(method, path): URI}."""
    found = [each["inputs"] for each in stack.of("integration:Integration")]
    return {(each["httpMethod"], path_of(stack, each["resourceId"])): each["uri"] for each in found}


def behind(stack, method, path):
    """The functions that may stand behind a route."""
    outputs = stack.outputs
    modern = outputs["entities"]["chefs"]
    if path == "/aurora":
        return {outputs["legacyInitFunction"]}
    reads = method == "GET"
    legacy = outputs["legacyReadFunction" if reads else "legacyWriteFunction"]
    own = modern["readFunction" if reads else "writeFunction"]
    public = {legacy, own} if reads else {legacy, own, outputs["gateFunction"]}
    return {"/aurora": {legacy}, "/dynamo": {own}}.get(path[:7], public)


def permitted(stack):
    """{(method and path, function)}."""
    return {
        (each["inputs"]["sourceArn"].partition("/prod/")[2], each["inputs"]["function"])
        for each in stack.of("permission:Permission")
    }


def may_be_called(stack, asked):
    return {function for source, function in permitted(stack) if fnmatch.fnmatchcase(asked, source)}


def expected(prefix):
    collection = {(method, f"{prefix}/chefs") for method in COLLECTION}
    return collection | {(method, f"{prefix}/chefs/{{id}}") for method in ITEM}


def test_the_routes_are_the_articles_and_the_public_ones(stack):
    wanted = {("GET", "/aurora")} | expected("/aurora") | expected("/dynamo") | expected("")
    assert integrations(stack).keys() == wanted
    assert len(stack.of("method:Method")) == len(wanted)


def test_the_legacy_system_alone_serves_its_own_and_the_public_routes(describe):
    wanted = {("GET", "/aurora")} | expected("/aurora") | expected("")
    assert integrations(describe(parts=LEGACY)).keys() == wanted


def test_public_routes_name_their_function_by_stage_variable(stack):
    prefix = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions"
    function = "arn:aws:lambda:us-east-1:111122223333:function"
    for (method, path), uri in integrations(stack).items():
        if path.startswith("/chefs"):
            variable = "chefs_reads" if method == "GET" else "chefs_writes"
            assert uri == f"{prefix}/{function}:${{stageVariables.{variable}}}/invocations"


@pytest.mark.parametrize(("system", "prefix"), [("legacy", "legacy"), ("modern", "modern-chefs")])
def test_fixed_routes_call_the_systems_own_functions(stack, system, prefix):
    found = integrations(stack)
    root = {"legacy": "/aurora", "modern": "/dynamo"}[system]
    for method, path in expected(root):
        role = "read" if method == "GET" else "write"
        assert found[method, path] == f"invoke:streamback-dev-{prefix}-{role}"


def test_every_route_may_call_every_function_that_can_stand_behind_it(stack):
    for method, path in integrations(stack):
        asked = f"{method}{path.replace('{id}', '7')}"
        assert may_be_called(stack, asked) >= behind(stack, method, path), asked


def test_a_function_of_one_entity_may_be_called_by_its_own_routes_only(stack):
    own = {
        (f"{method}{path.replace('{id}', '*')}", function)
        for method, path in integrations(stack)
        for function in behind(stack, method, path)
        if "modern" in function or "init" in function
    }
    assert {each for each in permitted(stack) if not each[0].endswith("/*") or "-chefs-" in each[1]} == own


def test_a_function_of_all_entities_may_be_called_by_its_own_methods_only(stack):
    outputs = stack.outputs
    reads, writes = ["GET/*"], ["DELETE/*", "POST/*", "PUT/*"]
    wanted = {"legacyReadFunction": reads, "legacyWriteFunction": writes, "gateFunction": writes}
    for key, sources in wanted.items():
        assert sorted(source for source, called in permitted(stack) if called == outputs[key]) == sources


@pytest.mark.parametrize("parts", [LEGACY, '["legacy", "modern"]'])
def test_without_the_bridge_there_is_no_gate_to_call(describe, parts):
    assert not [each for each in describe(parts=parts).of("permission:Permission") if "gate" in each["name"]]


def test_the_stage_starts_at_legacy_and_is_then_the_runbooks(stack):
    stage = stack.one("stage:Stage")
    outputs = stack.outputs
    assert stage["inputs"]["stageName"] == outputs["stageName"] == "prod"
    assert stage["inputs"]["variables"] == {
        "chefs_reads": outputs["legacyReadFunction"],
        "chefs_writes": outputs["legacyWriteFunction"],
    }
    assert stage["ignored"] == ["canarySettings", "variables"]


def test_no_other_resource_ignores_changes(stack):
    ignored = {each["type"].rpartition(":")[2]: each["ignored"] for each in stack.resources if each["ignored"]}
    assert ignored == {
        "Stage": ["canarySettings", "variables"],
        "EventSourceMapping": ["enabled"],
        "Schedule": ["state"],
    }


def test_a_deployment_waits_for_every_route_and_stays_for_a_canary_that_names_it(stack):
    deployment = stack.one("deployment:Deployment")
    needed = {each["urn"] for kind in ("integration:Integration", "permission:Permission") for each in stack.of(kind)}
    assert needed <= set(deployment["depends"])
    assert deployment["retain"] is True


def test_the_api_is_deployed_again_when_routes_or_authorisation_change(stack, describe):
    def triggers(found):
        return found.one("deployment:Deployment")["inputs"]["triggers"]

    assert triggers(describe(production="true", tags='{"owner": "kitchen"}')) == triggers(stack)
    assert triggers(describe(parts=LEGACY)) != triggers(stack)
    assert triggers(describe(apiAuth="NONE")) != triggers(stack)


def test_every_method_asks_for_a_signature_unless_the_setting_says_not_to(stack, describe):
    assert {each["inputs"]["authorization"] for each in stack.of("method:Method")} == {"AWS_IAM"}
    assert {each["inputs"]["authorization"] for each in describe(apiAuth="NONE").of("method:Method")} == {"NONE"}


def test_lambda_integrations_are_proxies_called_by_post(stack):
    kinds = {(each["inputs"]["type"], each["inputs"]["integrationHttpMethod"]) for each in stack.of("n:Integration")}
    assert kinds == {("AWS_PROXY", "POST")}


def test_paths_come_with_their_parents_first():
    found = routes.paths(routes.routes(["chefs"], ["legacy", "modern"]))
    for path in found:
        parent = path.rpartition("/")[0]
        assert not parent or found.index(parent) < found.index(path)


def test_nothing_is_served_from_a_part_that_is_not_deployed():
    assert {route.system for route in routes.routes(["chefs"], ["legacy"])} == {"init", "legacy", "public"}
