"""How a REST API is served: deployments, stages and their settings."""

from collections.abc import Mapping
from typing import Any

from sandbox.engine.aws import PARTITION
from sandbox.engine.provider.apigateway import replacements, take
from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import known, section
from sandbox.engine.state import Record


@handles("aws:apigateway/deployment:Deployment", properties="restApi triggers variables", updates="description")
class Deployment(Handler):
    """A snapshot of the API; `triggers` only say when to take another."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        made = self.aws.client("apigateway").create_deployment(
            **take(inputs, "description variables", restApiId="restApi")
        )
        return Made(made["id"], {"createdDate": str(made["createdDate"])})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        self.aws.client("apigateway").update_deployment(
            restApiId=record.inputs["restApi"],
            deploymentId=record.id,
            patchOperations=replacements({"/description": inputs.get("description", "")}),
        )
        return {}

    def delete(self, record: Record) -> None:
        self.aws.client("apigateway").delete_deployment(restApiId=record.inputs["restApi"], deploymentId=record.id)


@handles(
    "aws:apigateway/stage:Stage",
    properties="restApi stageName tags",
    updates=(
        "deployment variables canarySettings description documentationVersion xrayTracingEnabled accessLogSettings "
        "cacheClusterEnabled cacheClusterSize"
    ),
    delete_first=True,
    holds_data=True,  # its variables say where the traffic goes
)
class Stage(Handler):
    def create(self, inputs: Mapping[str, Any]) -> Made:
        wanted = "stageName variables description documentationVersion cacheClusterEnabled cacheClusterSize"
        self.aws.client("apigateway").create_stage(
            tags=section(inputs, "tags"),
            canarySettings=_canary(inputs),
            **take(inputs, wanted, restApiId="restApi", deploymentId="deployment", tracingEnabled="xrayTracingEnabled"),
        )
        if "accessLogSettings" in inputs:
            self._patch(inputs, _access_log(inputs["accessLogSettings"]))
        return Made(f"ags-{inputs['restApi']}-{inputs['stageName']}", self._outputs(inputs))

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        simple = {
            "deployment": "/deploymentId",
            "description": "/description",
            "documentationVersion": "/documentationVersion",
            "xrayTracingEnabled": "/tracingEnabled",
            "cacheClusterEnabled": "/cacheClusterEnabled",
            "cacheClusterSize": "/cacheClusterSize",
        }
        paths = {path: inputs.get(name, "") for name, path in simple.items() if name in changed}
        if "variables" in changed:
            paths |= _variables(section(record.inputs, "variables"), section(inputs, "variables"))
        if "accessLogSettings" in changed:
            paths |= _access_log(section(inputs, "accessLogSettings"))
        if "canarySettings" in changed:
            paths |= _canary_paths(_canary(record.inputs), _canary(inputs))
        self._patch(inputs, paths)
        return self._outputs(inputs)

    def observed(self, record: Record) -> Mapping[str, Any]:
        """Not the variables and the canary: the runbook owns them (ADR 0001)."""
        place = {"restApiId": record.inputs["restApi"], "stageName": record.inputs["stageName"]}
        stage = self.aws.client("apigateway").get_stage(**place)
        simple = {"deployment": "deploymentId", "xrayTracingEnabled": "tracingEnabled"}
        same = "description documentationVersion cacheClusterEnabled cacheClusterSize accessLogSettings"
        return take(stage, same, **simple)

    def delete(self, record: Record) -> None:
        place = {"restApiId": record.inputs["restApi"], "stageName": record.inputs["stageName"]}
        self.aws.client("apigateway").delete_stage(**place)

    def _patch(self, inputs: Mapping[str, Any], paths: Mapping[str, Any]) -> None:
        self.aws.client("apigateway").update_stage(
            restApiId=inputs["restApi"], stageName=inputs["stageName"], patchOperations=replacements(paths)
        )

    def _outputs(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        api, stage = inputs["restApi"], inputs["stageName"]
        return {
            "arn": f"arn:{PARTITION}:apigateway:{self.aws.region}::/restapis/{api}/stages/{stage}",
            "executionArn": self.aws.arn("execute-api", f"{api}/{stage}"),
            "invokeUrl": f"{self.aws.endpoint}/restapis/{api}/{stage}/_user_request_",
        }


def _canary(inputs: Mapping[str, Any]) -> dict[str, Any]:
    wanted = "deploymentId percentTraffic stageVariableOverrides useStageCache"
    return take(known(section(inputs, "canarySettings"), wanted), wanted)


def _canary_paths(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    paths: dict[str, Any] = {"/canarySettings": None} if old else {}
    overrides: Mapping[str, str] = new.get("stageVariableOverrides", {})
    simple = {key: value for key, value in new.items() if key != "stageVariableOverrides"}
    paths |= {f"/canarySettings/{key}": value for key, value in simple.items()}
    return paths | {f"/canarySettings/stageVariableOverrides/{name}": value for name, value in overrides.items()}


def _variables(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    """Only those that the program itself changed: the rest may have been moved by the runbook."""
    paths: dict[str, str | None] = {f"/variables/{name}": None for name in old.keys() - new.keys()}
    return paths | {f"/variables/{name}": value for name, value in new.items() if old.get(name) != value}


def _access_log(asked: Mapping[str, Any]) -> dict[str, Any]:
    known(asked, "destinationArn format")
    return {f"/accessLogSettings/{name}": asked.get(name) for name in ("destinationArn", "format")}
