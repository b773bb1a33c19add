"""Permissions of API Gateway on functions, and its answer to a function that failed.

On AWS API Gateway may invoke a function only by a permission whose source ARN fits the method, and answers 500 or 502
with a fixed body when it may not or the function fails. An alias has a policy of its own. MiniStack asks for no
permission and shows the function's error to the client. This file can go when it does neither.
"""
# pyright: basic

import fnmatch
from typing import Any

from ministack.services import apigateway_v1 as api
from ministack.services import lambda_svc as functions

from sandbox.emulator.patching import check_version, wrap

SERVICE = "apigateway.amazonaws.com"
MESSAGE = "Internal server error"
REGION = "us-east-1"


def install() -> None:
    """Fill the gap; before stage_variables, which names the function that is looked at here."""
    check_version("behaviour/lambda_permissions")
    wrap(api, "_invoke_lambda_proxy_v1", _asking)
    wrap(api, "_lambda_proxy_response", _hiding)


def _asking(stock: Any) -> Any:
    async def invoke(integration: dict[str, Any], api_id: str, stage_name: str, *more: Any, **named: Any) -> Any:
        _, resource, _, method = more[:4]
        account = named.get("owner_account_id") or api.get_account_id()
        region = named.get("owner_region") or REGION
        source = f"arn:aws:execute-api:{region}:{account}:{api_id}/{stage_name}/{method}{resource['path']}"
        reference = api._extract_lambda_ref_from_integration_uri(integration.get("uri", ""))
        function, _, name = functions._get_func_record_for_ref_in_scope(
            reference, account_id=named.get("owner_account_id"), region=named.get("owner_region")
        )
        if function is not None and not _permitted(function, name, _qualified(reference), source):
            return api._gw_error("API_CONFIGURATION_ERROR", MESSAGE)
        return await stock(integration, api_id, stage_name, *more, **named)

    return invoke


def _qualified(reference: str) -> str:
    """The function's name, with the alias that the integration names."""
    return reference.rpartition(":function:")[2].removesuffix(":$LATEST")


def _permitted(function: dict[str, Any], name: str, qualified: str, source: str) -> bool:
    plain = functions._functions.get(name.split(":", maxsplit=1)[0]) or {}
    statements = (plain.get("policy") or function.get("policy") or {}).get("Statement", [])
    own = [each for each in statements if _qualified(str(each.get("Resource"))) == qualified]
    return any(_allows(statement, source) for statement in own)


def _allows(statement: dict[str, Any], source: str) -> bool:
    principal = statement.get("Principal")
    service = principal.get("Service") if isinstance(principal, dict) else principal
    if statement.get("Effect") != "Allow" or service not in ("*", SERVICE):
        return False
    pattern = ((statement.get("Condition") or {}).get("ArnLike") or {}).get("AWS:SourceArn")
    return not pattern or fnmatch.fnmatchcase(source, pattern)


def _hiding(stock: Any) -> Any:
    def proxy_response(result: dict[str, Any]) -> Any:
        body = result.get("body")
        if not result.get("error") and not (isinstance(body, dict) and "statusCode" in body):
            return None, MESSAGE
        response, error = stock(result)
        return response, MESSAGE if error else None

    return proxy_response
