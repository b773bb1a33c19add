"""A REST API (v1) as it is described: the functions that its integrations name, and the methods that a stage serves."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient

ANY = "x-amazon-apigateway-any-method"
METHODS = frozenset({"get", "head", "post", "put", "patch", "delete", "options", ANY})
EXPORT = "oas30"  # the kind of export
INTEGRATION = "x-amazon-apigateway-integration"
VARIABLE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}")
FUNCTION_URI = re.compile(
    r"(?P<prefix>arn:[^:]+:apigateway:[^:]+:lambda:path/[^/]+/functions/"
    r"arn:[^:]+:lambda:(?P<region>[^:]*):(?P<account>[^:]*):function:)(?P<name>.+)/invocations"
)
# What API Gateway leaves out of an export where it is the default.
DEFAULTS = {"passthroughBehavior": "when_no_match", "connectionType": "internet", "timeoutInMillis": 29000}
TEXTS = ("type", "passthroughBehavior", "connectionType")  # in an export they are in small letters
PARTS = (
    *("type", "httpMethod", "uri", "credentials", "connectionType", "connectionId", "contentHandling"),
    *("passthroughBehavior", "timeoutInMillis", "requestParameters", "requestTemplates"),
)


@dataclass(frozen=True, kw_only=True)
class FunctionUri:
    """The function that an integration names.

    Attributes:
        prefix: of the URI, before the name.
        name: with its alias.
    """

    prefix: str
    region: str
    account: str
    name: str

    @property
    def text(self) -> str:
        return f"{self.prefix}{self.name}/invocations"

    def by_variable(self, variable: str) -> str:
        """The URI that takes the name from a stage variable."""
        return replace(self, name=f"${{stageVariables.{variable}}}").text


def function_uri(uri: str, variables: Mapping[str, str]) -> FunctionUri | None:
    """The function that a URI names by the stage's variables; None for anything but a Lambda function."""
    resolved = VARIABLE.sub(lambda found: variables.get(found[1], ""), uri)
    match = FUNCTION_URI.fullmatch(resolved)
    if match is None:
        return None
    return FunctionUri(**{**match.groupdict(), "name": match["name"].removesuffix(":$LATEST")})


def variable_of(uri: str) -> str:
    """The stage variable that alone names the URI's function; empty for any other URI."""
    match = FUNCTION_URI.fullmatch(uri)
    named = VARIABLE.fullmatch(match["name"]) if match else None
    return named[1] if named else ""


def is_variable(uri: str, variable: str) -> bool:
    """Whether the URI names its function by this stage variable alone."""
    return variable_of(uri) == variable != ""


@dataclass(frozen=True, kw_only=True)
class ApiMethod:
    """A method of the API.

    Attributes:
        resource: the id of its resource; empty in what is deployed.
        integration: its parts, defaults left out.
        security: the names of its authorizers, and `api_key` where it asks for one.
    """

    resource: str
    integration: Mapping[str, Any]
    security: frozenset[str]

    @property
    def uri(self) -> str:
        return str(self.integration.get("uri", ""))

    @property
    def kind(self) -> str:
        """`aws_proxy` for the only kind that can be adopted."""
        return str(self.integration.get("type", ""))

    @property
    def timeout(self) -> float:
        """Seconds that API Gateway waits for an answer."""
        return int(self.integration.get("timeoutInMillis", DEFAULTS["timeoutInMillis"])) / 1000

    def differs(self, other: ApiMethod, *, uri: bool) -> bool:
        """Whether what clients see may differ; `uri` says whether the URI counts."""
        ours, theirs = dict(self.integration), dict(other.integration)
        if not uri:
            ours.pop("uri", None)
            theirs.pop("uri", None)
        return ours != theirs or self.security != other.security


def deployed(client: APIGatewayClient, api: str, stage: str) -> dict[str, ApiMethod]:
    """The methods that a stage serves, by `GET /path`; `api` is the API's id."""
    answer = client.get_export(
        restApiId=api, stageName=stage, exportType=EXPORT, parameters={"extensions": "integrations"}
    )
    document: dict[str, Any] = json.loads(answer["body"].read())
    return {
        _key(verb, path): _exported(operation)
        for path, operations in document.get("paths", {}).items()
        for verb, operation in operations.items()
        if verb in METHODS
    }


def _key(verb: str, path: str) -> str:
    return f"{'ANY' if verb == ANY else verb.upper()} {path}"


def _exported(operation: Mapping[str, Any]) -> ApiMethod:
    names = {name for requirement in operation.get("security", []) for name in requirement}
    return ApiMethod(
        resource="",
        integration=integration_parts(operation.get(INTEGRATION) or {}),
        security=frozenset(names - {"sigv4"}),
    )


def integration_parts(raw: Mapping[str, Any]) -> dict[str, Any]:
    """An integration without what is at its default, so that an export and the live API can be compared."""
    found = {name: raw[name] for name in PARTS if raw.get(name)}
    found |= {name: str(found[name]).lower() for name in TEXTS if name in found}
    found |= {name: int(found[name]) for name in ("timeoutInMillis",) if name in found}
    return {name: value for name, value in found.items() if value != DEFAULTS.get(name)}
