"""The REST API as the program describes it: its routes, who decides them, and when it is deployed again."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path

import openapi_spec_validator
import pytest

from components import routes
from functions.domain import entities, openapi

ROOT = Path(__file__).parents[2]
MOST_OF_AN_ENTITY = 22  # resources, components not counted
COLLECTION, ITEM = ("GET", "POST"), ("GET", "PUT", "DELETE")
LEGACY = '["legacy"]'


def document(stack):
    """What API Gateway imports."""
    return json.loads(stack.one("restApi:RestApi")["inputs"]["body"])


def operations(stack):
    """{(method, path): operation}."""
    return {
        (method.upper(), path): operation
        for path, found in document(stack)["paths"].items()
        for method, operation in found.items()
    }


def integrations(stack):
    """{(method, path): URI}."""
    found = {route: operation["x-amazon-apigateway-integration"] for route, operation in operations(stack).items()}
    return {route: each["uri"] for route, each in found.items()}


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
    modern = stack.outputs["entities"]["chefs"]
    for key, methods in (("readFunction", ["GET"]), ("writeFunction", ["DELETE", "POST", "PUT"])):
        sources = sorted(source for source, called in permitted(stack) if called == modern[key])
        assert sources == [f"{method}/*chefs*" for method in methods]
    assert {source for source, called in permitted(stack) if called == stack.outputs["legacyInitFunction"]} == {
        "GET/aurora"
    }


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
    assert {each["urn"] for each in stack.of("permission:Permission")} <= set(deployment["depends"])
    assert stack.one("restApi:RestApi")["urn"] in deployment["depends"]
    assert deployment["retain"] is True


def test_the_api_is_deployed_again_when_routes_or_authorisation_change(stack, describe):
    def triggers(found):
        return found.one("deployment:Deployment")["inputs"]["triggers"]

    assert triggers(describe(production="true", tags='{"owner": "kitchen"}')) == triggers(stack)
    assert triggers(describe(parts=LEGACY)) != triggers(stack)
    assert triggers(describe(apiAuth="NONE")) != triggers(stack)


def test_every_method_asks_for_a_signature_unless_the_setting_says_not_to(stack, describe):
    assert document(stack)["security"] == [{"sigv4": []}]
    assert document(stack)["components"]["securitySchemes"]["sigv4"]["x-amazon-apigateway-authtype"] == "awsSigv4"
    assert not [each for each in operations(stack).values() if "security" in each]
    assert "security" not in document(describe(apiAuth="NONE"))


def test_lambda_integrations_are_proxies_called_by_post(stack):
    found = [each["x-amazon-apigateway-integration"] for each in operations(stack).values()]
    assert {(each["type"], each["httpMethod"]) for each in found} == {("aws_proxy", "POST")}


def test_the_document_is_openapi_and_has_the_public_routes_of_the_contract(stack):
    openapi_spec_validator.validate(document(stack))
    clients = openapi.contract(entities.load(ROOT / "entities.toml"), "AWS_IAM", "https://api.invalid/prod")
    openapi_spec_validator.validate(clients)
    public = {path for path in document(stack)["paths"] if not path.startswith(("/aurora", "/dynamo"))}
    assert public == clients["paths"].keys()
    for path in public:
        assert document(stack)["paths"][path].keys() == clients["paths"][path].keys()


def test_a_preview_of_what_is_not_there_yet_shows_the_routes(stack, describe):
    foreseen = integrations(describe(preview=True))
    assert foreseen.keys() == integrations(stack).keys()
    assert foreseen["GET", "/dynamo/chefs"] == "(the new function streamback-dev-modern-chefs-read)"
    assert foreseen["GET", "/chefs"] == integrations(stack)["GET", "/chefs"]


def test_an_entity_adds_few_resources(stack, describe, tmp_path):
    one = (ROOT / "entities.toml").read_text(encoding="utf-8")
    other = one.replace("chefs", "cooks").replace("cheftable", "cooktable").replace('"chef"', '"cook"')
    (tmp_path / "entities.toml").write_text(f"{one}\n{other}", encoding="utf-8")
    both = describe(entitiesFile=str(tmp_path / "entities.toml"))
    custom = [len([each for each in found.resources if each["custom"]]) for found in (stack, both)]
    assert custom[1] - custom[0] <= MOST_OF_AN_ENTITY


def test_paths_come_with_their_parents_first():
    found = routes.paths(routes.routes(["chefs"], ["legacy", "modern"]))
    for path in found:
        parent = path.rpartition("/")[0]
        assert not parent or found.index(parent) < found.index(path)


def test_nothing_is_served_from_a_part_that_is_not_deployed():
    assert {route.system for route in routes.routes(["chefs"], ["legacy"])} == {"init", "legacy", "public"}
