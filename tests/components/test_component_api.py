"""The REST API as the program describes it: its routes, who decides them, and when it is deployed again."""

from __future__ import annotations

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
    permitted = {
        (each["inputs"]["sourceArn"].partition("/prod/")[2], each["inputs"]["function"])
        for each in stack.of("permission:Permission")
    }
    legacy, modern = "streamback-dev-legacy", "streamback-dev-modern-chefs"
    for method, path in integrations(stack):
        role = "read" if method == "GET" else "write"
        behind = {"/aurora": [legacy], "/dynamo": [modern]}.get(path[:7], [legacy, modern])
        source = f"{method}{path.replace('{id}', '*')}"
        functions = {f"{each}-{role}" for each in behind} if path != "/aurora" else {f"{legacy}-init"}
        assert {function for found, function in permitted if found == source} == functions


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
    assert [each["name"] for each in stack.resources if each["ignored"]] == [stack.one("stage:Stage")["name"]]


def test_a_deployment_waits_for_every_route_and_stays_for_a_canary_that_names_it(stack):
    deployment = stack.one("deployment:Deployment")
    needed = {
        each["urn"]
        for kind in ("integration:Integration", "permission:Permission")
        for each in stack.of(kind)
    }
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
    assert {each["inputs"]["authorization"] for each in describe(apiAuth="NONE").of("method:Method")} == {
        "NONE"
    }


def test_lambda_integrations_are_proxies_called_by_post(stack):
    kinds = {
        (each["inputs"]["type"], each["inputs"]["integrationHttpMethod"])
        for each in stack.of("n:Integration")
    }
    assert kinds == {("AWS_PROXY", "POST")}


def test_paths_come_with_their_parents_first():
    found = routes.paths(routes.routes(["chefs"], ["legacy", "modern"]))
    for path in found:
        parent = path.rpartition("/")[0]
        assert not parent or found.index(parent) < found.index(path)


def test_nothing_is_served_from_a_part_that_is_not_deployed():
    assert {route.system for route in routes.routes(["chefs"], ["legacy"])} == {"init", "legacy", "public"}
