"""A REST API (v1) that others have made: its methods as they are now, those that the stage serves, its deployments.

What is changed in an API is served when it is deployed. GetExport shows what the stage serves, GetResources what the
next deployment would serve.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from functions.aws.retry import BUSY_CODES, retry
from runbook.aws.outputs import Target
from runbook.errors import FailedError, PreconditionError

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient

ANY = "x-amazon-apigateway-any-method"
METHODS = frozenset({"get", "head", "post", "put", "patch", "delete", "options", ANY})
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
BUSY_SECONDS = 60.0  # that API Gateway is waited for: it takes few control calls a second in an account
ONLY_REST = "only REST APIs (v1) can be adopted; docs/adopt.md has the way round for HTTP APIs, function URLs and ALBs"


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
class ServedStage:
    """What a stage of the API serves: the id of its deployment, and the names of its variables."""

    deployment: str
    variables: frozenset[str]


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


class ApiDefinition:
    """The API of a target."""

    def __init__(self, client: APIGatewayClient, target: Target) -> None:
        self._client = client
        self._id = target.api_id
        self._stage = target.stage_name

    def methods(self) -> dict[str, ApiMethod]:
        """The methods as they are now, by `GET /path`.

        Raises:
            PreconditionError: there is no such REST API.
        """
        names = self._authorizers()
        return {key: method for resource in self._resources() for key, method in _methods(resource, names)}

    def deployed(self) -> dict[str, ApiMethod]:
        """The methods that the stage serves."""
        answer = self._client.get_export(
            restApiId=self._id, stageName=self._stage, exportType="oas30", parameters={"extensions": "integrations"}
        )
        document: dict[str, Any] = json.loads(answer["body"].read())
        return {
            _key(verb, path): _exported(operation)
            for path, operations in document.get("paths", {}).items()
            for verb, operation in operations.items()
            if verb in METHODS
        }

    def other_stages(self) -> dict[str, ServedStage]:
        """The stages of the API beside the target's, by name."""
        found = self._client.get_stages(restApiId=self._id).get("item", [])
        return {
            name: ServedStage(deployment=each.get("deploymentId", ""), variables=frozenset(each.get("variables", {})))
            for each in found
            if (name := each.get("stageName", "")) != self._stage
        }

    def set_uri(self, key: str, resource: str, uri: str) -> None:
        """Have a method's integration name another function, from the next deployment on."""
        method = key.partition(" ")[0]
        operation: Any = {"op": "replace", "path": "/uri", "value": uri}
        self._busy(
            lambda: self._client.update_integration(
                restApiId=self._id, resourceId=resource, httpMethod=method, patchOperations=[operation]
            )
        )

    def create_deployment(self, description: str) -> str:
        """A deployment of the methods as they are now, which no stage serves yet; its id."""
        return self._busy(
            lambda: self._client.create_deployment(restApiId=self._id, description=description)["id"]  # pyright: ignore[reportTypedDictNotRequiredAccess]
        )

    def deployments(self) -> dict[str, str]:
        """The descriptions of all deployments, by id."""
        pages = self._client.get_paginator("get_deployments").paginate(restApiId=self._id)
        return {each.get("id", ""): each.get("description", "") for page in pages for each in page.get("items", [])}

    def delete_deployment(self, deployment: str) -> None:
        self._busy(lambda: self._client.delete_deployment(restApiId=self._id, deploymentId=deployment))

    def _resources(self) -> Iterator[Mapping[str, Any]]:
        pages = self._client.get_paginator("get_resources").paginate(restApiId=self._id, embed=["methods"])
        try:
            for page in pages:
                yield from cast("list[Mapping[str, Any]]", page.get("items", []))
        except self._client.exceptions.NotFoundException as error:
            raise PreconditionError(f"there is no REST API {self._id}: {ONLY_REST}", "Correct the setting.") from error

    def _authorizers(self) -> dict[str, str]:
        try:
            found = self._client.get_authorizers(restApiId=self._id).get("items", [])
        except self._client.exceptions.NotFoundException:
            return {}
        return {each.get("id", ""): each.get("name", "") for each in found}

    def _busy(self, call: Callable[[], Any]) -> Any:
        return retry(lambda: _unless_busy(self._client, call), _BusyError, timeout=BUSY_SECONDS, failure=_still_busy)


class _BusyError(Exception):
    """API Gateway did nothing, and asks to be called again."""


def _still_busy(error: Exception) -> FailedError:
    return FailedError(f"API Gateway is busy: {error}", "Run the command again.")


def _unless_busy(client: APIGatewayClient, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except client.exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") in BUSY_CODES:
            raise _BusyError(str(error)) from error
        raise


def _key(verb: str, path: str) -> str:
    return f"{'ANY' if verb == ANY else verb.upper()} {path}"


def _methods(resource: Mapping[str, Any], authorizers: Mapping[str, str]) -> Iterator[tuple[str, ApiMethod]]:
    methods: Mapping[str, Mapping[str, Any]] = resource.get("resourceMethods") or {}
    for verb, method in methods.items():
        keys = {"api_key"} if method.get("apiKeyRequired") else set[str]()
        by = authorizers.get(method.get("authorizerId") or "")
        yield (
            f"{verb} {resource['path']}",
            ApiMethod(
                resource=resource["id"],
                integration=_parts(method.get("methodIntegration") or {}),
                security=frozenset({*keys, *([by] if by else [])}),
            ),
        )


def _exported(operation: Mapping[str, Any]) -> ApiMethod:
    names = {name for requirement in operation.get("security", []) for name in requirement}
    return ApiMethod(
        resource="", integration=_parts(operation.get(INTEGRATION) or {}), security=frozenset(names - {"sigv4"})
    )


def _parts(raw: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: raw[name] for name in PARTS if raw.get(name)}
    found |= {name: str(found[name]).lower() for name in TEXTS if name in found}
    found |= {name: int(found[name]) for name in ("timeoutInMillis",) if name in found}
    return {name: value for name, value in found.items() if value != DEFAULTS.get(name)}
