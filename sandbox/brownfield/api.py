"""The shop's REST API: orders, and routes that streamback has nothing to do with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sandbox.brownfield.functions import function_name
from sandbox.engine.aws import Aws

STAGE = "live"
READS, WRITES = function_name("orders_read"), function_name("orders_write")
ORDERS, ORDER = "/v2/orders", "/v2/orders/{orderId}"
ROUTES = (("GET", ORDERS), ("POST", ORDERS), ("GET", ORDER), ("PUT", ORDER), ("DELETE", ORDER))
INTEGRATION = "x-amazon-apigateway-integration"
HEADERS = "method.response.header.Access-Control-Allow-"
MODEL = {"$schema": "http://json-schema.org/draft-04/schema#", "title": "Order", "type": "object"}


def make_api(account: Aws) -> str:
    """Make and deploy it; its id."""
    gateway = account.client("apigateway")
    api = gateway.create_rest_api(name="shop", endpointConfiguration={"types": ["REGIONAL"]})["id"]
    gateway.create_model(restApiId=api, name="Order", contentType="application/json", schema=json.dumps(MODEL))
    places = _places(gateway, api)
    for method, path in ROUTES:
        _proxy(account, api, places[path], method, path)
    for path in (ORDERS, ORDER):
        _cross_origin(gateway, api, places[path])
    _mock(gateway, api, places["/v2/health"], {"ok": True})
    _mock(gateway, api, places["/v2/export"], {"export": "by mail"}, key=True)
    gateway.create_deployment(restApiId=api, stageName=STAGE)
    _usage_plan(gateway, api)
    return api


def _places(gateway: Any, api: str) -> dict[str, str]:
    """The resources' ids by path."""
    (root,) = (each["id"] for each in gateway.get_resources(restApiId=api)["items"] if each["path"] == "/")
    found = {"": root}
    for path in ("/v2", ORDERS, ORDER, "/v2/health", "/v2/export"):
        parent, _, part = path.rpartition("/")
        found[path] = gateway.create_resource(restApiId=api, parentId=found[parent], pathPart=part)["id"]
    return found


def deploy_again(account: Aws, api: str, routes: Sequence[tuple[str, str]]) -> None:
    """What the shop's own tool does that knows nothing of streamback: some routes call the legacy functions again."""
    gateway = account.client("apigateway")
    places = {each["path"]: each["id"] for each in gateway.get_resources(restApiId=api)["items"]}
    for method, path in routes:
        _integrate(account, api, places[path], method)
    gateway.create_deployment(restApiId=api, stageName=STAGE)


def serves_legacy(account: Aws, api: str) -> list[str]:
    """The routes that the stage serves by the name of a legacy function."""
    exported = account.client("apigateway").get_export(
        restApiId=api, stageName=STAGE, exportType="oas30", parameters={"extensions": "integrations"}
    )
    paths = json.loads(exported["body"].read())["paths"]
    uris = {f"{method} {path}": paths[path][method.lower()][INTEGRATION]["uri"] for method, path in ROUTES}
    return [route for route, uri in uris.items() if f":{READS}/" in uri or f":{WRITES}/" in uri]


def _function(method: str) -> str:
    return READS if method == "GET" else WRITES


def _integrate(account: Aws, api: str, resource: str, method: str) -> None:
    arn = account.arn("lambda", f"function:{_function(method)}")
    account.client("apigateway").put_integration(
        restApiId=api,
        resourceId=resource,
        httpMethod=method,
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{account.region}:lambda:path/2015-03-31/functions/{arn}/invocations",
    )


def _proxy(account: Aws, api: str, resource: str, method: str, path: str) -> None:
    """A method that one function answers, which the API may call for it."""
    account.client("apigateway").put_method(
        restApiId=api, resourceId=resource, httpMethod=method, authorizationType="NONE"
    )
    _integrate(account, api, resource, method)
    account.client("lambda").add_permission(
        FunctionName=_function(method),
        StatementId=f"api-{method.lower()}-{'one' if path == ORDER else 'all'}",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=account.arn("execute-api", f"{api}/*/{method}{path.replace('{orderId}', '*')}"),
    )


def _mock(gateway: Any, api: str, resource: str, body: Any, *, key: bool = False) -> None:
    """A GET that API Gateway itself answers; `key` says whether its callers need an API key."""
    place = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
    gateway.put_method(**place, authorizationType="NONE", apiKeyRequired=key)
    gateway.put_method_response(**place, statusCode="200")
    gateway.put_integration(**place, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'})
    templates = {"application/json": json.dumps(body)}
    gateway.put_integration_response(**place, statusCode="200", responseTemplates=templates)


def _cross_origin(gateway: Any, api: str, resource: str) -> None:
    """OPTIONS, as browsers ask before they send a request to another origin."""
    place = {"restApiId": api, "resourceId": resource, "httpMethod": "OPTIONS"}
    allowed = {"Origin": "'*'", "Methods": "'GET,POST,PUT,DELETE,OPTIONS'", "Headers": "'Content-Type'"}
    gateway.put_method(**place, authorizationType="NONE")
    gateway.put_method_response(
        **place, statusCode="204", responseParameters={HEADERS + name: True for name in allowed}
    )
    gateway.put_integration(**place, type="MOCK", requestTemplates={"application/json": '{"statusCode": 204}'})
    gateway.put_integration_response(
        **place, statusCode="204", responseParameters={HEADERS + name: value for name, value in allowed.items()}
    )


def _usage_plan(gateway: Any, api: str) -> None:
    plan = gateway.create_usage_plan(name="partners", apiStages=[{"apiId": api, "stage": STAGE}])["id"]
    key = gateway.create_api_key(name="partner", enabled=True)["id"]
    gateway.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
