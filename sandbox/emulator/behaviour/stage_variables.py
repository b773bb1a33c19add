"""Stage variables in integration URIs, and the canary's overrides of them.

On AWS `${stageVariables.x}` in an integration's URI becomes the stage's variable, or the canary's override
for a request that the canary got, which is a random share of them. MiniStack takes the URI as it is and has no canary
(how its settings are kept is in canary.py). This file can go when it does both.
"""
# pyright: basic

import contextvars
import random
import re
from typing import Any

from ministack.services import apigateway_v1 as api

from sandbox.emulator.behaviour import deployments
from sandbox.emulator.patching import check_version, wrap

VARIABLE = re.compile(r"\$\{stageVariables\.(\w+)\}")

# The canary settings of the request at hand, when the canary got it.
_canary: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("canary", default=None)


def install() -> None:
    check_version("behaviour/stage_variables")
    wrap(api, "_execute_in_scope", _choosing)
    wrap(api, "_invoke_lambda_proxy_v1", _naming)


def _choosing(stock: Any) -> Any:
    """Whether the canary gets a request, and so which deployment and which variables serve it."""

    async def execute(request: Any, api_id: str, stage_name: str, *more: Any) -> Any:
        stage = api._stages_v1.get(api_id, {}).get(stage_name) or {}
        canary = stage.get("canarySettings") or {}
        share = float(canary.get("percentTraffic") or 0)
        chosen = bool(canary) and random.random() * 100 < share  # noqa: S311  # no secret
        _canary.set(canary if chosen else None)
        deployments.serving.set((chosen and canary.get("deploymentId")) or stage.get("deploymentId"))
        return await stock(request, api_id, stage_name, *more)

    return execute


def _naming(stock: Any) -> Any:
    async def invoke(
        integration: dict[str, Any], api_id: str, stage_name: str, stage: dict[str, Any], *more: Any, **named: Any
    ) -> Any:
        overrides = (_canary.get() or {}).get("stageVariableOverrides") or {}
        variables = {**(stage.get("variables") or {}), **overrides}
        uri = VARIABLE.sub(lambda found: str(variables.get(found[1], "")), integration.get("uri") or "")
        return await stock(
            {**integration, "uri": uri}, api_id, stage_name, {**stage, "variables": variables}, *more, **named
        )

    return invoke
