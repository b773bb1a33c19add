"""Deployments as snapshots.

On AWS a stage serves the resources as they were when its deployment was made. MiniStack serves them as they are now, so
that a route appears before it is deployed, and GetExport shows what is not deployed. This file can go when it keeps
snapshots.
"""
# pyright: basic

import contextvars
import copy
import json
from typing import Any

from ministack.services import apigateway_v1 as api

from sandbox.emulator.patching import check_version, wrap

CREATED = 201

# The deployment that serves the request at hand.
serving: contextvars.ContextVar[str | None] = contextvars.ContextVar("deployment", default=None)
_snapshots: dict[tuple[str, str], Any] = {}


def install() -> None:
    check_version("behaviour/deployments")
    wrap(api, "_create_deployment", _keeping)
    wrap(api, "_match_resource_tree", _matching)
    wrap(api, "_match_greedy_fallback", _matching)
    wrap(api, "_build_api_export", _exporting)


def _keeping(stock: Any) -> Any:
    def create_deployment(api_id: str, data: dict[str, Any]) -> Any:
        status, headers, body = stock(api_id, data)
        if status == CREATED:
            _snapshots[api_id, json.loads(body)["id"]] = copy.deepcopy(api._resources.get(api_id, {}))
        return status, headers, body

    return create_deployment


def _matching(stock: Any) -> Any:
    def match(api_id: str, *more: Any) -> Any:
        return _as_deployed(stock, api_id, serving.get() or "", *more)

    return match


def _exporting(stock: Any) -> Any:
    def build_api_export(api_id: str, stage_name: str, *more: Any) -> Any:
        deployment = api._stages_v1[api_id][stage_name].get("deploymentId", "")
        return _as_deployed(stock, api_id, deployment, stage_name, *more)

    return build_api_export


def _as_deployed(stock: Any, api_id: str, deployment: str, *more: Any) -> Any:
    """What MiniStack answers if its resources are those of a deployment."""
    snapshot = _snapshots.get((api_id, deployment))
    if snapshot is None:
        return stock(api_id, *more)
    live = api._resources
    api._resources = {api_id: snapshot}  # it runs to its end on the event loop: no other request sees this
    try:
        return stock(api_id, *more)
    finally:
        api._resources = live
