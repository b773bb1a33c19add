"""Runs the unmodified program under Pulumi's mocks and prints what it describes: `described.py SETTINGS-AS-JSON`.

A process of its own for each stack, since Pulumi's settings are global.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import sys
import threading
from pathlib import Path

import pulumi
from google.protobuf import empty_pb2, json_format
from pulumi.runtime import mocks, settings
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import run_in_stack

ROOT = Path(__file__).parents[2]
STACK = "pulumi:pulumi:Stack"
FEATURES = (resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS, resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH)
ANSWERS = {
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "111122223333"},
    "aws:index/getRegion:getRegion": {"region": "us-east-1"},
    "aws:index/getPartition:getPartition": {"partition": "aws"},
    "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["us-east-1a", "us-east-1b", "us-east-1c"]},
    "aws:rds/getOrderableDbInstance:getOrderableDbInstance": {"availabilityZones": ["us-east-1a", "us-east-1b"]},
}
# What the provider adds, beside an ARN for everything.
OUTPUTS = {
    "aws:apigateway/restApi:RestApi": lambda _: {
        "rootResourceId": "root",
        "executionArn": "arn:aws:execute-api:us-east-1:111122223333:api",
    },
    "aws:apigateway/stage:Stage": lambda _: {"invokeUrl": "https://api.invalid/prod"},
    "aws:dynamodb/table:Table": lambda name: {"streamArn": f"arn:of:{name}/stream/2026"},
    "aws:lambda/eventSourceMapping:EventSourceMapping": lambda name: {"uuid": f"uuid-of-{name}"},
    "aws:lambda/function:Function": lambda name: {"invokeArn": f"invoke:{name}"},
    "aws:rds/cluster:Cluster": lambda name: {
        "masterUserSecrets": [{"secretArn": f"arn:of:{name}/master"}],
        "endpoint": "aurora.invalid",
        "port": 3306,
    },
}


class Provider(mocks.Mocks):
    """Makes every resource by name: its name is its physical name, `arn:of:<name>` its ARN."""

    def new_resource(self, args):
        given = {"name": args.name, "arn": f"arn:of:{args.name}", "bucket": args.name, **args.inputs}
        return f"{args.name}-id", given | OUTPUTS.get(args.typ, lambda _: {})(args.name)

    def call(self, args):
        return ANSWERS[args.token]


class Monitor(mocks.MockMonitor):
    """Keeps what was asked for, and the stack's outputs."""

    def __init__(self):
        super().__init__(Provider())
        self.described = {}
        self.outputs = {}
        self._lock = threading.Lock()

    def GetDeploymentInfo(self, request):  # noqa: N802  # the protocol's
        return resource_pb2.DeploymentInfo(supportedFeatures=list(FEATURES))

    def RegisterResource(self, request):  # noqa: N802  # the protocol's
        urn = self.make_urn(request.parent, request.type, request.name)
        with self._lock:
            if urn in self.described:
                raise ValueError(f"two resources are {urn}")
            self.described[urn] = {
                "type": request.type,
                "name": request.name,
                "parent": request.parent,
                "custom": request.custom,
                "protect": request.protect,
                "retain": request.retainOnDelete,
                "ignored": sorted(request.ignoreChanges),
                "depends": sorted(request.dependencies),
                "inputs": plain(request.object),
            }
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request):  # noqa: N802  # the protocol's
        if request.urn.split("::")[2] == STACK:
            self.outputs = plain(request.outputs)
        else:
            self.described[request.urn]["registered"] = True
        return empty_pb2.Empty()


def plain(struct):
    """As the pulumi CLI prints it, where a whole number has no fraction; the protocol knows only floats."""
    text = json.dumps(json_format.MessageToDict(struct))
    return json.loads(text, parse_float=lambda digits: int(float(digits)) if digits.endswith(".0") else float(digits))


def main():
    monitor = Monitor()
    settings.configure(
        mocks.MockSettings(
            monitor=monitor,
            monitor_features=set(),
            engine=mocks.MockEngine(logging.getLogger()),
            project="streamback",
            stack="dev",
            dry_run=False,
            organization="organization",
            root_directory=None,
            callbacks=None,
        )
    )
    pulumi.runtime.set_all_config(json.loads(sys.argv[1]))
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    asyncio.run(run_in_stack(lambda: runpy.run_path("__main__.py", run_name="__main__")))
    resources = [{"urn": urn, **each} for urn, each in monitor.described.items() if each["type"] != STACK]
    json.dump({"resources": resources, "outputs": monitor.outputs}, sys.stdout)


if __name__ == "__main__":
    main()
