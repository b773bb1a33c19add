"""Runs the unmodified program under Pulumi's mocks and prints what it describes.

Each line of stdin asks for one stack: `{"config": settings, "preview": whether nothing is there yet, "stdout": file,
"stderr": file}`. The answer is the exit code. Each stack has a process of its own, since Pulumi's settings are global.
It is a fork, since importing the provider takes longer than the program.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import runpy
import sys
import threading
import traceback
from pathlib import Path

import pulumi
from google.protobuf import empty_pb2, json_format
from pulumi.runtime import mocks, settings
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.stack import run_in_stack

ROOT = Path(__file__).parents[2]
STACK = "pulumi:pulumi:Stack"
SERVICES = (
    "apigateway",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "iam",
    "lambda_",
    "rds",
    "s3",
    "scheduler",
    "secretsmanager",
    "sfn",
)
FEATURES = (resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS, resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH)
ANSWERS = {
    "aws:index/getCallerIdentity:getCallerIdentity": {"accountId": "111122223333"},
    "aws:index/getRegion:getRegion": {"region": "us-east-1"},
    "aws:index/getPartition:getPartition": {"partition": "aws"},
    "aws:index/getAvailabilityZones:getAvailabilityZones": {"names": ["us-east-1a", "us-east-1b", "us-east-1c"]},
    "aws:rds/getOrderableDbInstance:getOrderableDbInstance": {"availabilityZones": ["us-east-1a", "us-east-1b"]},
}
LOOKED_UP = {
    "aws:dynamodb/getTable:getTable": lambda given: {
        "arn": f"arn:of:{given['name']}",
        "hashKey": "ChefId",
        "rangeKey": "",
        "attributes": [{"name": "ChefId", "type": "S"}],
        "streamEnabled": True,
        "streamViewType": "NEW_AND_OLD_IMAGES",
        "streamArn": f"arn:of:{given['name']}/stream/2026",
    },
    "aws:lambda/getFunction:getFunction": lambda given: {
        "arn": f"arn:of:{given['functionName']}",
        "qualifiedInvokeArn": f"invoke:{given['functionName']}",
        "timeout": int(given["functionName"].rpartition("-")[2]),  # these names end with it
    },
    "aws:rds/getCluster:getCluster": lambda given: {
        "arn": f"arn:aws:rds:us-east-1:111122223333:cluster:{given['clusterIdentifier']}",
        "engine": "aurora-mysql",
        "endpoint": "aurora.invalid",
        "port": 3306,
        "clusterResourceId": f"cluster-{given['clusterIdentifier'].upper()}",
    },
    "aws:rds/getInstance:getInstance": lambda given: {
        "dbInstanceArn": f"arn:aws:rds:us-east-1:111122223333:db:{given['dbInstanceIdentifier']}",
        "engine": "mysql",
        "address": "shop.invalid",
        "port": 3307,
        "resourceId": f"db-{given['dbInstanceIdentifier'].upper()}",
    },
    "aws:rds/getProxy:getProxy": lambda given: {
        "arn": f"arn:aws:rds:us-east-1:111122223333:db-proxy:prx-of-{given['name']}"
    },
    "aws:secretsmanager/getSecret:getSecret": lambda given: given,
    "aws:apigateway/getExport:getExport": lambda _: {
        "body": json.dumps({"paths": {"/chefs": {"post": {}}, "/chefs/{id}": {"put": {}, "delete": {}}}})
    },
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

    def __init__(self, *, preview):
        self._preview = preview

    def new_resource(self, args):
        if self._preview:
            return "", args.inputs
        given = {"name": args.name, "arn": f"arn:of:{args.name}", "bucket": args.name, **args.inputs}
        return f"{args.name}-id", given | OUTPUTS.get(args.typ, lambda _: {})(args.name)

    def call(self, args):
        return LOOKED_UP[args.token](args.args) if args.token in LOOKED_UP else ANSWERS[args.token]


class Monitor(mocks.MockMonitor):
    """Keeps what was asked for, and the stack's outputs."""

    def __init__(self, *, preview):
        super().__init__(Provider(preview=preview))
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


def describe(config, *, preview):
    """Print the stack of one configuration."""
    monitor = Monitor(preview=preview)
    settings.configure(
        mocks.MockSettings(
            monitor=monitor,
            monitor_features=set(),
            engine=mocks.MockEngine(logging.getLogger()),
            project="streamback",
            stack="dev",
            dry_run=preview,
            organization="organization",
            root_directory=None,
            callbacks=None,
        )
    )
    pulumi.runtime.set_all_config(config)
    asyncio.run(run_in_stack(lambda: runpy.run_path("__main__.py", run_name="__main__")))
    resources = [{"urn": urn, **each} for urn, each in monitor.described.items() if each["type"] != STACK]
    json.dump({"resources": resources, "outputs": monitor.outputs}, sys.stdout)


def in_a_fork(request):
    """Describe one stack in a child; its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with Path(request["stdout"]).open("w") as sys.stdout, Path(request["stderr"]).open("w") as sys.stderr:
        try:
            describe(request["config"], preview=request["preview"])
            code = 0
        except BaseException:  # noqa: BLE001  # whatever it is, the test that asked sees it
            traceback.print_exc()
            code = 1
    os._exit(code)


def main():
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for service in SERVICES:
        hasattr(importlib.import_module(f"pulumi_aws.{service}"), "")  # only what is asked for a name is imported
    importlib.import_module("components.stack")
    for line in sys.stdin:
        sys.stdout.write(f"{in_a_fork(json.loads(line))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
