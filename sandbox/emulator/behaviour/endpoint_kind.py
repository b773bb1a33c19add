"""The kind of a REST API's endpoint, as UpdateRestApi changes it.

AWS's path names the kind that is replaced, `/endpointConfiguration/types/EDGE`, and the value is the new one. MiniStack
takes the path for one of nested objects, and puts an object in the list's place. This file can go when it does not.
"""
# pyright: basic

from typing import Any

from ministack.services import apigateway_v1 as api

from sandbox.emulator.patching import check_version, wrap

KIND = "/endpointConfiguration/types/"


def install() -> None:
    check_version("behaviour/endpoint_kind")
    wrap(api, "_update_rest_api", _changing)


def _changing(stock: Any) -> Any:
    def update_rest_api(api_id: str, data: dict[str, Any]) -> Any:
        found = api._rest_apis.get(api_id)
        operations = data.get("patchOperations", [])
        mine = [each for each in operations if each.get("path", "").startswith(KIND)]
        if found is None or not mine:
            return stock(api_id, data)
        kinds = found["endpointConfiguration"]["types"]
        for each in mine:
            if each.get("op") != "replace" or each["path"].removeprefix(KIND) not in kinds:
                return api._v1_error("BadRequestException", f"Invalid patch path {each['path']}", 400)
            kinds = [each["value"] if kind == each["path"].removeprefix(KIND) else kind for kind in kinds]
        found["endpointConfiguration"] = {**found["endpointConfiguration"], "types": kinds}
        return stock(api_id, {**data, "patchOperations": [each for each in operations if each not in mine]})

    return update_rest_api
