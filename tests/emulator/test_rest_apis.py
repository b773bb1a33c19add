"""API Gateway in the sandbox: stage variables, canaries, snapshots and permissions as on AWS."""

from __future__ import annotations

import json

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

CODE = """
import os
def handler(event, context):
    if os.environ["SAYS"] == "raise":
        raise ValueError("secret of the function")
    return {"statusCode": 200, "body": os.environ["SAYS"]}
"""
URI = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:000000000000:function:"


class Rest:
    """A REST API with methods whose function is named by the stage variable `who`."""

    def __init__(self, parts):
        self.parts, self.client = parts, parts.clients["apigateway"]
        self.id = self.client.create_rest_api(name=parts.unique())["id"]
        self.root = self.client.get_resources(restApiId=self.id)["items"][0]["id"]

    def function(self, says, *, permitted=True):
        name = self.parts.function(CODE, SAYS=says).rpartition(":")[2]
        if permitted:
            self.parts.clients["lambda"].add_permission(
                FunctionName=name,
                StatementId="api",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
                SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{self.id}/prod/GET/*",
            )
        return name

    def method(self, part):
        resource = self.client.create_resource(restApiId=self.id, parentId=self.root, pathPart=part)["id"]
        place = {"restApiId": self.id, "resourceId": resource, "httpMethod": "GET"}
        self.client.put_method(**place, authorizationType="NONE")
        uri = URI + "${stageVariables.who}/invocations"
        self.client.put_integration(**place, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)

    def deploy(self):
        return self.client.create_deployment(restApiId=self.id)["id"]

    def stage(self, **variables):
        self.client.create_stage(restApiId=self.id, stageName="prod", deploymentId=self.deploy(), variables=variables)

    def patch(self, *operations):
        changes = [{"op": op, "path": path, "value": value} for op, path, value in operations]
        self.client.update_stage(restApiId=self.id, stageName="prod", patchOperations=changes)

    def get(self, path):
        found = self.parts.sandbox.outputs
        url = f"{found['endpointUrl']}/restapis/{self.id}/prod/_user_request_{path}"
        request = AWSRequest(method="GET", url=url)
        key = Credentials(found["accessKeyId"], found["secretAccessKey"])
        SigV4Auth(key, "execute-api", "us-east-1").add_auth(request)
        answer = URLLib3Session().send(request.prepare())
        return answer.status_code, answer.text


@pytest.fixture
def rest(parts):
    found = Rest(parts)
    yield found
    found.client.delete_rest_api(restApiId=found.id)


def test_a_stage_variable_names_the_function_and_changing_it_moves_the_route(rest):
    rest.method("x")
    one, two = rest.function("one"), rest.function("two")
    rest.stage(who=one)
    assert rest.get("/x") == (200, "one")
    rest.patch(("replace", "/variables/who", two))
    assert rest.get("/x") == (200, "two")


def test_a_canary_gets_its_share_with_its_own_variables(rest):
    rest.method("x")
    rest.stage(who=rest.function("one"))
    rest.patch(
        ("replace", "/canarySettings/percentTraffic", "100"),
        ("replace", "/canarySettings/stageVariableOverrides/who", rest.function("two")),
    )
    assert rest.get("/x") == (200, "two")
    rest.patch(("replace", "/canarySettings/percentTraffic", "0"))
    assert rest.get("/x") == (200, "one")


def test_a_stage_serves_its_own_deployment_until_it_gets_another(rest):
    rest.method("x")
    rest.stage(who=rest.function("one"))
    rest.method("y")
    assert rest.get("/y")[0] in (403, 404)
    rest.patch(("replace", "/deploymentId", rest.deploy()))
    assert rest.get("/y") == (200, "one")


def test_a_function_without_a_permission_is_not_called(rest):
    rest.method("x")
    rest.stage(who=rest.function("one", permitted=False))
    status, body = rest.get("/x")
    assert (status, json.loads(body)["message"]) == (500, "Internal server error")


def test_what_a_function_raised_is_not_shown_to_the_client(rest):
    rest.method("x")
    rest.stage(who=rest.function("raise"))
    status, body = rest.get("/x")
    assert status in (500, 502)
    assert "secret" not in body


def test_requests_are_counted_by_their_outcome(rest, parts):
    rest.method("x")
    rest.stage(who=rest.function("one"))
    for path in ("/x", "/x", "/nowhere"):
        rest.get(path)
    place = {"ApiName": rest.client.get_rest_api(restApiId=rest.id)["name"], "Stage": "prod"}
    assert parts.total("AWS/ApiGateway", "Count", **place) == 3
    assert parts.total("AWS/ApiGateway", "4XXError", **place) == 1
    assert parts.total("AWS/ApiGateway", "Latency", **place) > 0


def described(*paths, **more):
    """A document whose paths call the function of the stage variable `who`."""
    call = {"type": "aws_proxy", "httpMethod": "POST", "uri": URI + "${stageVariables.who}/invocations"}
    operation = {"responses": {}, "x-amazon-apigateway-integration": call}
    return json.dumps({"openapi": "3.0.1", "paths": {path: {"get": operation} for path in paths}, **more})


def test_a_document_gives_the_routes_and_another_replaces_them(rest):
    rest.method("x")
    rest.client.put_rest_api(restApiId=rest.id, mode="overwrite", body=described("/y", "/z/{id}"))
    rest.stage(who=rest.function("one"))
    assert (rest.get("/y"), rest.get("/z/7")) == ((200, "one"), (200, "one"))
    assert rest.get("/x")[0] == 403
    rest.client.put_rest_api(restApiId=rest.id, mode="merge", body=described("/x"))
    assert rest.get("/x")[0] == 403, "nothing is deployed yet"
    rest.patch(("replace", "/deploymentId", rest.deploy()))
    assert (rest.get("/x"), rest.get("/y")) == ((200, "one"), (200, "one"))


def test_the_kind_of_an_endpoint_is_changed_by_the_name_of_the_old_one(rest):
    def change(old, new):
        operation = {"op": "replace", "path": f"/endpointConfiguration/types/{old}", "value": new}
        return rest.client.update_rest_api(restApiId=rest.id, patchOperations=[operation])

    (kind,) = rest.client.get_rest_api(restApiId=rest.id)["endpointConfiguration"]["types"]
    other = "EDGE" if kind == "REGIONAL" else "REGIONAL"
    assert change(kind, other)["endpointConfiguration"]["types"] == [other]
    with pytest.raises(rest.client.exceptions.BadRequestException):
        change(kind, other)
    assert rest.client.get_rest_api(restApiId=rest.id)["endpointConfiguration"]["types"] == [other]


def test_a_document_says_that_requests_are_signed(rest):
    scheme = {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"}
    components = {"securitySchemes": {"sigv4": scheme}}
    body = described("/x", security=[{"sigv4": []}], components=components)
    rest.client.put_rest_api(restApiId=rest.id, mode="overwrite", body=body)
    (found,) = [each for each in rest.client.get_resources(restApiId=rest.id)["items"] if each["path"] == "/x"]
    method = rest.client.get_method(restApiId=rest.id, resourceId=found["id"], httpMethod="GET")
    assert method["authorizationType"] == "AWS_IAM"


@pytest.mark.parametrize("body", ["{", "[]", '{"openapi": "3.0.1"}'])
def test_what_is_no_document_changes_nothing(rest, body):
    rest.method("x")
    with pytest.raises(rest.client.exceptions.BadRequestException):
        rest.client.put_rest_api(restApiId=rest.id, mode="overwrite", body=body)
    assert "/x" in {each["path"] for each in rest.client.get_resources(restApiId=rest.id)["items"]}


def test_an_export_has_what_is_deployed(rest):
    rest.method("x")
    rest.stage(who=rest.function("one"))
    rest.method("y")
    place = {"restApiId": rest.id, "stageName": "prod", "exportType": "oas30"}
    assert list(json.loads(rest.client.get_export(**place)["body"].read())["paths"]) == ["/x"]
    rest.patch(("replace", "/deploymentId", rest.deploy()))
    assert list(json.loads(rest.client.get_export(**place)["body"].read())["paths"]) == ["/x", "/y"]


def test_an_alias_has_permissions_of_its_own(rest):
    rest.method("x")
    name, functions = rest.function("one"), rest.parts.clients["lambda"]
    version = functions.publish_version(FunctionName=name)["Version"]
    functions.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    rest.stage(who=f"{name}:live")
    assert rest.get("/x")[0] == 500
    functions.add_permission(
        FunctionName=name,
        Qualifier="live",
        StatementId="alias",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:us-east-1:000000000000:{rest.id}/prod/GET/*",
    )
    assert rest.get("/x") == (200, "one")
