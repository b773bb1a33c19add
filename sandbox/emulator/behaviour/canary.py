"""A stage's canary settings, as UpdateStage changes them.

On AWS the first `replace` of a part of canarySettings makes a canary with the stage's own deployment and 0 percent;
`add` is not allowed, a single override may be removed and so may the whole, and a call with one wrong operation
changes nothing. MiniStack keeps whatever is sent, numbers as text. This file can go when it does as AWS does.
"""
# pyright: basic

import re
from typing import Any

from ministack.services import apigateway_v1 as api

from sandbox.emulator.patching import check_version, wrap

CREATED, OK = 201, 200
ALL = 100
CANARY = "/canarySettings"
OVERRIDE = re.compile(rf"{CANARY}/stageVariableOverrides/(\w+)")
PARTS = ("percentTraffic", "deploymentId", "useStageCache")


def install() -> None:
    check_version("behaviour/canary")
    wrap(api, "_create_stage", _keeping)
    wrap(api, "_update_stage", _changing)


def _keeping(stock: Any) -> Any:
    def create_stage(api_id: str, data: dict[str, Any]) -> Any:
        answer = stock(api_id, data)
        stage = api._stages_v1.get(api_id, {}).get(data.get("stageName", ""))
        if stage is None or not data.get("canarySettings"):
            return answer
        stage["canarySettings"] = {**_fresh(stage), **data["canarySettings"]}
        return api._v1_response(stage, CREATED)

    return create_stage


def _changing(stock: Any) -> Any:
    def update_stage(api_id: str, stage_name: str, data: dict[str, Any]) -> Any:
        stage = api._stages_v1.get(api_id, {}).get(stage_name)
        operations = data.get("patchOperations", [])
        mine = [each for each in operations if each.get("path", "").startswith(CANARY)]
        if stage is None or not mine:
            return stock(api_id, stage_name, data)
        for each in mine:
            if wrong := _wrong(api_id, each):
                return api._v1_error("BadRequestException", wrong, 400)
        rest = [each for each in operations if each not in mine]
        answer = stock(api_id, stage_name, {**data, "patchOperations": rest})
        if answer[0] != OK:
            return answer
        for each in mine:
            _apply(stage, each)
        return api._v1_response(stage)

    return update_stage


def _wrong(api_id: str, operation: dict[str, Any]) -> str:
    """Why AWS refuses the operation; empty when it does not."""
    op, path, value = operation.get("op"), operation["path"], operation.get("value")
    part = path.removeprefix(f"{CANARY}/")
    override = OVERRIDE.fullmatch(path)
    if op == "remove" and (path == CANARY or override):
        return ""
    if op != "replace" and (override or part in PARTS):
        return f"Invalid {op} operation with path: {path}"
    if op != "replace" or not (override or part in PARTS):
        return f"Invalid method setting path: {path}"
    if part == "percentTraffic" and not _is_percentage(value):
        return "Canary percentTraffic must be between 0.0 and 100.0"
    if part == "deploymentId" and value not in api._deployments_v1.get(api_id, {}):
        return "Deployment id does not exist"
    return ""


def _is_percentage(value: Any) -> bool:
    try:
        return 0 <= float(value) <= ALL
    except (TypeError, ValueError):
        return False


def _apply(stage: dict[str, Any], operation: dict[str, Any]) -> None:
    path, value = operation["path"], operation.get("value")
    if path == CANARY:
        stage.pop("canarySettings", None)
        return
    # A new dictionary each time: a request that is under way keeps the settings that it began with.
    canary = {**_fresh(stage), **(stage.get("canarySettings") or {})}
    if found := OVERRIDE.fullmatch(path):
        overrides = dict(canary.get("stageVariableOverrides") or {})
        overrides.pop(found[1], None)
        canary["stageVariableOverrides"] = overrides if operation["op"] == "remove" else {**overrides, found[1]: value}
    else:
        canary[path.rpartition("/")[2]] = _typed(path, value)
    stage["canarySettings"] = canary


def _typed(path: str, value: Any) -> Any:
    if path.endswith("percentTraffic"):
        return float(value)
    return str(value).lower() == "true" if path.endswith("useStageCache") else value


def _fresh(stage: dict[str, Any]) -> dict[str, Any]:
    return {"deploymentId": stage.get("deploymentId", ""), "percentTraffic": 0.0, "useStageCache": False}
