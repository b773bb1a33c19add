"""The provider functions that a program may call.

Most are answered without a request, so that a preview can be made with nothing running. Those that look something up
ask the emulator.
"""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.engine import aws
from sandbox.engine.aws import Aws
from sandbox.engine.errors import EngineError
from sandbox.engine.lookups import LOOKUPS


def answer(token: str, arguments: Mapping[str, Any], emulator: Aws) -> Mapping[str, Any]:
    """What the provider function `token` returns.

    Raises:
        EngineError: it is not one of those known, or what it looks up is not there.
    """
    if token in LOOKUPS:
        return _looked_up(token, arguments, emulator)
    if token not in FUNCTIONS:
        raise EngineError(f"the sandbox does not know the provider function {token}")
    return FUNCTIONS[token](arguments)


def _looked_up(token: str, arguments: Mapping[str, Any], emulator: Aws) -> Mapping[str, Any]:
    if not emulator.endpoint:
        raise EngineError(f"{token} needs a running sandbox to look at: `sandbox up`")
    try:
        return LOOKUPS[token](emulator, arguments)
    except (ClientError, BotoCoreError) as error:
        raise EngineError(f"{token}: {error}") from error


def _caller_identity(_: Mapping[str, Any]) -> Mapping[str, Any]:
    root = f"arn:{aws.PARTITION}:iam::{aws.ACCOUNT}:root"
    return {"accountId": aws.ACCOUNT, "arn": root, "userId": aws.ACCOUNT, "id": aws.ACCOUNT}


def _region(_: Mapping[str, Any]) -> Mapping[str, Any]:
    described = {"description": "US East (N. Virginia)", "endpoint": f"ec2.{aws.REGION}.amazonaws.com"}
    return {**dict.fromkeys(("region", "name", "id"), aws.REGION), **described}


def _availability_zones(_: Mapping[str, Any]) -> Mapping[str, Any]:
    zone_ids = [f"use1-az{number}" for number, _ in enumerate(aws.ZONES, start=1)]
    names = {"names": list(aws.ZONES), "zoneIds": zone_ids, "groupNames": [aws.REGION]}
    return {**names, "id": aws.REGION, "region": aws.REGION}


def _orderable_instance(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**arguments, "availabilityZones": list(aws.ZONES), "id": arguments.get("instanceClass", "")}


def _partition(_: Mapping[str, Any]) -> Mapping[str, Any]:
    names = {"dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}
    return {"partition": aws.PARTITION, "id": aws.PARTITION, **names}


FUNCTIONS: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _caller_identity,
    "aws:index/getRegion:getRegion": _region,
    "aws:index/getAvailabilityZones:getAvailabilityZones": _availability_zones,
    "aws:index/getPartition:getPartition": _partition,
    "aws:rds/getOrderableDbInstance:getOrderableDbInstance": _orderable_instance,
}
