"""PutRestApi, which gives a REST API the routes of an OpenAPI document.

MiniStack reads such documents for CloudFormation only, and does not know the call. As on AWS, what is deployed stays as
it was until the next deployment. This file can go when MiniStack answers `PUT /restapis/{id}`.
"""
# pyright: basic

import json
import re
from collections.abc import Mapping
from typing import Any

from ministack.services import apigateway_v1 as api

from sandbox.emulator.patching import check_version, wrap

PUT = re.compile(r"/restapis/([^/]+)/?")
ROOT = "/"


def install() -> None:
    check_version("behaviour/openapi_import")
    wrap(api, "handle_request", _importing)


def _importing(stock: Any) -> Any:
    async def handle_request(method: str, path: str, headers: Any, body: bytes, query: Mapping[str, Any]) -> Any:
        found = PUT.fullmatch(path) if method == "PUT" else None
        return _put(found[1], body, query) if found else await stock(method, path, headers, body, query)

    return handle_request


def _put(api_id: str, body: bytes, query: Mapping[str, Any]) -> Any:
    if api_id not in api._rest_apis:
        return api._v1_error("NotFoundException", "Invalid API identifier specified", 404)
    try:
        document = json.loads(body)
        paths = document["paths"].items()
    except (ValueError, KeyError, TypeError, AttributeError):
        return api._v1_error("BadRequestException", "Invalid OpenAPI input: it is not JSON, or has no paths.", 400)
    if "merge" not in query.get("mode", ["merge"]):
        api._resources[api_id] = {key: _bare(each) for key, each in _root(api_id).items()}
    schemes = api._import_security_schemes(api_id, document)
    for path, operations in paths:
        api._import_path_item(api_id, path, operations, schemes, document.get("security"))
    return api._get_rest_api(api_id)


def _root(api_id: str) -> dict[str, Any]:
    return {key: each for key, each in api._resources[api_id].items() if each["path"] == ROOT}


def _bare(resource: dict[str, Any]) -> dict[str, Any]:
    return {**resource, "resourceMethods": {}}
