"""A REST API (v1) that others have made: its methods as they are now, those that the stage serves, its deployments.

What is changed in an API is served when it is deployed. GetExport shows what the stage serves, GetResources what the
next deployment would serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from functions.aws import rest_api
from functions.aws.rest_api import ApiMethod, integration_parts
from functions.aws.retry import BUSY_CODES, retry
from runbook.aws.outputs import Target
from runbook.errors import FailedError, PreconditionError

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient

BUSY_SECONDS = 60.0  # that API Gateway is waited for: it takes few control calls a second in an account
ONLY_REST = "only REST APIs (v1) can be adopted; docs/adopt.md has the way round for HTTP APIs, function URLs and ALBs"


@dataclass(frozen=True, kw_only=True)
class ServedStage:
    """What a stage of the API serves: the id of its deployment, and the names of its variables."""

    deployment: str
    variables: frozenset[str]


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
        return rest_api.deployed(self._client, self._id, self._stage)

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


def _methods(resource: Mapping[str, Any], authorizers: Mapping[str, str]) -> Iterator[tuple[str, ApiMethod]]:
    methods: Mapping[str, Mapping[str, Any]] = resource.get("resourceMethods") or {}
    for verb, method in methods.items():
        keys = {"api_key"} if method.get("apiKeyRequired") else set[str]()
        by = authorizers.get(method.get("authorizerId") or "")
        yield (
            f"{verb} {resource['path']}",
            ApiMethod(
                resource=resource["id"],
                integration=integration_parts(method.get("methodIntegration") or {}),
                security=frozenset({*keys, *([by] if by else [])}),
            ),
        )
