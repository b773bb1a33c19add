"""The REST API and its routes: one OpenAPI document, or resources, methods and integrations."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.engine.aws import PARTITION
from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, known, section
from sandbox.engine.state import Record


def take(inputs: Mapping[str, Any], wanted: str, **renamed: str) -> dict[str, Any]:
    """Arguments from inputs: API Gateway's own are camelCase too, except for a few."""
    names = {name: name for name in wanted.split()} | renamed
    return {argument: inputs[name] for argument, name in names.items() if inputs.get(name) is not None}


def replacements(paths: Mapping[str, Any]) -> list[dict[str, str]]:
    """Patch operations that set each path; a None removes it."""
    return [
        {"op": "remove", "path": path} if value is None else {"op": "replace", "path": path, "value": _patched(value)}
        for path, value in paths.items()
    ]


def _patched(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


API = "name description minimumCompressionSize disableExecuteApiEndpoint policy apiKeySource binaryMediaTypes"


@handles(
    "aws:apigateway/restApi:RestApi",
    properties="tags",
    updates=f"body endpointConfiguration {API}",
    name=AutoName("name", 255),
)
class RestApi(Handler):
    def create(self, inputs: Mapping[str, Any]) -> Made:
        api = self.aws.client("apigateway")
        made = api.create_rest_api(
            tags=section(inputs, "tags"), endpointConfiguration={"types": _types(inputs)}, **take(inputs, API)
        )
        self._import(made["id"], inputs)
        root = next(item for item in api.get_resources(restApiId=made["id"])["items"] if item["path"] == "/")
        return Made(
            made["id"],
            {
                "arn": f"arn:{PARTITION}:apigateway:{self.aws.region}::/restapis/{made['id']}",
                "rootResourceId": root["id"],
                "executionArn": self.aws.arn("execute-api", made["id"]),
            },
        )

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        if "binaryMediaTypes" in changed:
            raise ValueError("the sandbox sets binaryMediaTypes only at creation")
        if "body" in changed:
            self._import(record.id, inputs)
        paths = {f"/{name}": inputs.get(name, "") for name in sorted(changed - {"body", "endpointConfiguration"})}
        if "endpointConfiguration" in changed:
            paths[f"/endpointConfiguration/types/{_types(record.inputs)[0]}"] = _types(inputs)[0]
        if paths:
            self.aws.client("apigateway").update_rest_api(restApiId=record.id, patchOperations=replacements(paths))
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        api = self.aws.client("apigateway")
        found = api.get_rest_api(restApiId=record.id)
        types = found.get("endpointConfiguration", {}).get("types", [])
        body = self._body(record) if "body" in record.inputs else ""
        return {**take(found, API), "endpointConfiguration": {"types": ",".join(types)}, "body": body}

    def _body(self, record: Record) -> str:
        """The document as it was given, where each method is answered as it says; else with what answers it."""
        pages = (
            self.aws.client("apigateway")
            .get_paginator("get_resources")
            .paginate(restApiId=record.id, embed=["methods"])
        )
        there = {
            (each["path"], verb.lower()): method.get("methodIntegration", {}).get("uri", "")
            for page in pages
            for each in page["items"]
            for verb, method in each.get("resourceMethods", {}).items()
        }
        document = json.loads(record.inputs["body"])
        asked = {
            (path, verb): operation.get(INTEGRATED, {}).get("uri", "")
            for path, item in document.get("paths", {}).items()
            for verb, operation in item.items()
        }
        if asked == there:
            return record.inputs["body"]
        return json.dumps({**document, "paths": _described(document.get("paths", {}), there)}, sort_keys=True)

    def delete(self, record: Record) -> None:
        self.aws.client("apigateway").delete_rest_api(restApiId=record.id)

    def _import(self, api_id: str, inputs: Mapping[str, Any]) -> None:
        if "body" in inputs:
            self.aws.client("apigateway").put_rest_api(restApiId=api_id, mode="overwrite", body=inputs["body"])


INTEGRATED = "x-amazon-apigateway-integration"


def _described(paths: Mapping[str, Any], there: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    """The paths of a document with those methods that are there, and what answers them."""
    made: dict[str, Any] = {}
    for (path, verb), uri in there.items():
        operation: Mapping[str, Any] = paths.get(path, {}).get(verb, {})
        made.setdefault(path, {})[verb] = {**operation, INTEGRATED: {**operation.get(INTEGRATED, {}), "uri": uri}}
    return made


def _types(inputs: Mapping[str, Any]) -> Sequence[str]:
    asked = known(section(inputs, "endpointConfiguration"), "types").get("types", "EDGE")
    return [asked] if isinstance(asked, str) else asked


@handles("aws:apigateway/resource:Resource", properties="restApi parentId pathPart", delete_first=True)
class Resource(Handler):
    def create(self, inputs: Mapping[str, Any]) -> Made:
        made = self.aws.client("apigateway").create_resource(**take(inputs, "parentId pathPart", restApiId="restApi"))
        return Made(made["id"], {"path": made["path"]})

    def delete(self, record: Record) -> None:
        self.aws.client("apigateway").delete_resource(restApiId=record.inputs["restApi"], resourceId=record.id)


def _place(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"restApiId": inputs["restApi"], "resourceId": inputs["resourceId"], "httpMethod": inputs["httpMethod"]}


def _place_id(prefix: str, inputs: Mapping[str, Any], *more: str) -> str:
    return "-".join([prefix, inputs["restApi"], inputs["resourceId"], inputs["httpMethod"], *more])


METHOD = (
    "apiKeyRequired authorizerId authorizationScopes operationName requestModels requestParameters requestValidatorId"
)


@handles(
    "aws:apigateway/method:Method",
    properties="restApi resourceId httpMethod",
    updates=f"authorization {METHOD}",
    delete_first=True,
)
class Method(Handler):
    """A verb on a path, and who may use it."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        self.aws.client("apigateway").put_method(
            **_place(inputs), authorizationType=inputs["authorization"], **take(inputs, METHOD)
        )
        return Made(_place_id("agm", inputs))

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        simple = {"authorization": "authorizationType", "apiKeyRequired": "apiKeyRequired"}
        simple |= {name: name for name in ("authorizerId", "operationName", "requestValidatorId")}
        if other := sorted(changed - simple.keys()):
            raise ValueError(f"the sandbox sets {', '.join(other)} of a method only at creation")
        paths = {f"/{simple[name]}": inputs.get(name, "") for name in sorted(changed)}
        self.aws.client("apigateway").update_method(**_place(record.inputs), patchOperations=replacements(paths))
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        method = self.aws.client("apigateway").get_method(**_place(record.inputs))
        return take(method, "apiKeyRequired authorizerId", authorization="authorizationType")

    def delete(self, record: Record) -> None:
        self.aws.client("apigateway").delete_method(**_place(record.inputs))


INTEGRATION = (
    "type uri credentials connectionType connectionId passthroughBehavior contentHandling requestParameters "
    "requestTemplates cacheNamespace cacheKeyParameters"
)


@handles(
    "aws:apigateway/integration:Integration",
    properties="restApi resourceId httpMethod",
    updates=f"{INTEGRATION} integrationHttpMethod timeoutMilliseconds",
    delete_first=True,
)
class Integration(Handler):
    """What answers a method; putting it again changes it whole."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        self.aws.client("apigateway").put_integration(
            **_place(inputs),
            **take(inputs, f"{INTEGRATION} integrationHttpMethod", timeoutInMillis="timeoutMilliseconds"),
        )
        return Made(_place_id("agi", inputs))

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        return self.create(inputs).outputs

    def observed(self, record: Record) -> Mapping[str, Any]:
        there = self.aws.client("apigateway").get_integration(**_place(record.inputs))
        return take(there, "type uri", integrationHttpMethod="httpMethod")

    def delete(self, record: Record) -> None:
        self.aws.client("apigateway").delete_integration(**_place(record.inputs))
