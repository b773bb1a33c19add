"""A system of a team's own in the shared sandbox, made by plain boto3: a REST API, four functions and a table.

Its API has one method that streamback has nothing to do with, and its readers are called by an alias.
"""

from __future__ import annotations

import io
import json
import threading
import time
import uuid
import zipfile
from collections import Counter

from afresh import until
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

from runbook.adopt.command import AdoptCommand
from runbook.adopt.undo import AdoptUndo
from runbook.aws import outputs as targets
from runbook.stack import Context

CODE = """
import json, os
def handler(event, context):
    return {"statusCode": 200, "body": json.dumps({"by": os.environ["SAYS"], "path": event["path"]})}
"""
ROLE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
REGION, ACCOUNT = "us-east-1", "000000000000"
URI = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/arn:aws:lambda:{REGION}:{ACCOUNT}:function:"
ENTITY, STAGE = "orders", "live"
ITEM, COLLECTION = "/v2/orders/{orderId}", "/v2/orders"
READS, WRITES = [f"GET {ITEM}", f"GET {COLLECTION}"], [f"POST {COLLECTION}", f"PUT {ITEM}"]
MAPPING = {
    ENTITY: {
        "legacy": {"database": "chefdb", "table": "cheftable", "key": "id", "key_type": "string"},
        "modern": {"table": "orders", "key": "OrderId"},
        "fields": {"label": {"column": "cheffirst", "type": "string", "max_length": 255}},
        "api": {"reads": READS, "writes": WRITES},
    }
}


class World:
    """Its parts, by name: `api`, `resources`, `reads`, `writes`, `modern_reads`, `modern_writes`, `table`."""

    def __init__(self, sandbox, **changes):
        self.sandbox = sandbox
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.functions, self.dynamodb = sandbox.client("lambda"), sandbox.client("dynamodb")
        self.gateway = sandbox.client("apigateway")
        self.role = sandbox.client("iam").create_role(RoleName=self.name, AssumeRolePolicyDocument=json.dumps(ROLE))[
            "Role"
        ]["Arn"]
        roles = ("reads", "writes", "modern-reads", "modern-writes", "gate")
        self.reads, self.writes, self.modern_reads, self.modern_writes, self.gate = map(self._function, roles)
        version = self.functions.publish_version(FunctionName=self.reads)["Version"]
        self.functions.create_alias(FunctionName=self.reads, Name="live", FunctionVersion=version)
        self.reads = f"{self.reads}:live"
        self.table, self.journal = f"{self.name}-orders", f"{self.name}-journal"
        self._tables()
        self.api = self.gateway.create_rest_api(name=self.name)["id"]
        self.resources = {"/": self.gateway.get_resources(restApiId=self.api)["items"][0]["id"]}
        self._methods()
        self.deploy()
        self.changes = changes

    def context(self):
        """A context of its own, as each command makes one."""
        found = self.sandbox.outputs
        raw = {
            **{name: found[name] for name in ("region", "endpointUrl", "accessKeyId", "secretAccessKey")},
            **{name: found[name] for name in ("clusterArn", "masterSecretArn")},
            "stack": "adopted",
            "parts": ["legacy", "modern"],
            "apiUrl": f"{found['endpointUrl']}/restapis/{self.api}/{STAGE}/_user_request_",
            "apiId": self.api,
            "apiAdopted": True,
            "stageName": STAGE,
            "apiAuth": "NONE",
            "mapping": MAPPING,
            "journalTable": self.journal,
            "gateFunction": self.gate,
            "entities": {
                ENTITY: {
                    "modernTable": self.table,
                    "tableAdopted": True,
                    "readFunction": self.modern_reads,
                    "writeFunction": self.modern_writes,
                    "legacyReadFunction": self.reads,
                    "legacyWriteFunction": self.writes,
                }
            },
            **self.changes,
        }
        self.raw = raw
        return Context.of(targets.parse(raw, "a test"))

    def _function(self, role):
        name, packed = f"{self.name}-{role}", io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", CODE)
        self.functions.create_function(
            FunctionName=name,
            Role=self.role,
            Runtime="python3.13",
            Handler="index.handler",
            Code={"ZipFile": packed.getvalue()},
            Environment={"Variables": {"SAYS": role}},
        )
        until(lambda: self.functions.get_function_configuration(FunctionName=name)["State"] == "Active")
        return name

    def _tables(self):
        for table, keys in ((self.table, ("OrderId",)), (self.journal, ("entity", "record"))):
            self.dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
                KeySchema=[
                    {"AttributeName": name, "KeyType": kind}
                    for name, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
            )

    def _methods(self):
        for operation in READS:
            self.method(operation, self.reads)
        for operation in WRITES:
            self.method(operation, self.writes)
        self.method("GET /v2/health", self.writes)

    def resource(self, path):
        """The id of a path's resource, which is made with its parents."""
        if path not in self.resources:
            parent, _, part = path.rpartition("/")
            made = self.gateway.create_resource(
                restApiId=self.api, parentId=self.resource(parent or "/"), pathPart=part
            )
            self.resources[path] = made["id"]
        return self.resources[path]

    def place(self, operation):
        method, path = operation.split()
        return {"restApiId": self.api, "resourceId": self.resource(path), "httpMethod": method}

    def method(self, operation, function):
        self.gateway.put_method(**self.place(operation), authorizationType="NONE")
        self.integrate(operation, function)
        self.permit(function, operation)

    def integrate(self, operation, function, **more):
        """Write an integration as another tool does, all of it."""
        self.gateway.put_integration(
            **{
                **self.place(operation),
                "type": "AWS_PROXY",
                "integrationHttpMethod": "POST",
                "uri": f"{URI}{function}/invocations",
                **more,
            }
        )

    def live_uri(self, operation):
        return self.gateway.get_integration(**self.place(operation))["uri"]

    def permit(self, function, operation):
        method, path = operation.split()
        name, _, alias = function.partition(":")
        self.functions.add_permission(
            FunctionName=name,
            **({"Qualifier": alias} if alias else {}),
            StatementId=uuid.uuid4().hex,
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{self.api}/*/{method}{path.replace('{orderId}', '*')}",
        )

    def deploy(self):
        self.gateway.create_deployment(restApiId=self.api, stageName=STAGE)

    def patch(self, *operations):
        """Change the stage, by (op, path, value)."""
        changes = [
            {"op": op, "path": path, **({} if value is None else {"value": value})} for op, path, value in operations
        ]
        self.gateway.update_stage(restApiId=self.api, stageName=STAGE, patchOperations=changes)

    def call(self, operation, session=None):
        """The status, and who answered."""
        method, path = operation.split()
        url = f"{self.sandbox.outputs['endpointUrl']}/restapis/{self.api}/{STAGE}/_user_request_"
        request = AWSRequest(method=method, url=url + path.replace("{orderId}", "7"), data="{}")
        key = Credentials(self.sandbox.outputs["accessKeyId"], self.sandbox.outputs["secretAccessKey"])
        SigV4Auth(key, "execute-api", REGION).add_auth(request)
        answer = (session or URLLib3Session()).send(request.prepare())
        return answer.status_code, json.loads(answer.text).get("by", answer.text)

    def export(self):
        answer = self.gateway.get_export(
            restApiId=self.api, stageName=STAGE, exportType="oas30", parameters={"extensions": "integrations"}
        )
        return json.loads(answer["body"].read())

    def artefacts(self):
        """All that must be as before after `adopt undo`; times and revisions cannot be."""
        stage = self.gateway.get_stage(restApiId=self.api, stageName=STAGE)
        table = self.dynamodb.describe_table(TableName=self.table)["Table"]
        if not table.get("StreamSpecification", {}).get("StreamEnabled"):
            table.pop("StreamSpecification", None)
        plain = [each.partition(":")[0] for each in (self.reads, self.writes, self.modern_reads, self.modern_writes)]
        found = {
            "export": self.export(),
            "live": self.gateway.get_resources(restApiId=self.api, embed=["methods"])["items"],
            "stage": _without(stage, "lastUpdatedDate"),
            "deployments": self.gateway.get_deployments(restApiId=self.api)["items"],
            "table": _without(table, "LatestStreamArn", "LatestStreamLabel"),
            "functions": [
                _without(self.functions.get_function_configuration(FunctionName=name), "RevisionId") for name in plain
            ],
            "policies": [json.loads(self.functions.get_policy(FunctionName=name)["Policy"]) for name in plain],
        }
        return json.dumps(found, sort_keys=True, default=str)


def adopt(world, *, pending=False):
    context = world.context()
    return AdoptCommand(context, list(context.target.entities.values()), pending=pending)


def undo(world, *, pending=False):
    return AdoptUndo(world.context(), 0.0, pending=pending)


def kinds(plan):
    return [each.kind for each in plan.changes]


def _without(found, *names):
    return {name: value for name, value in found.items() if name not in {"ResponseMetadata", *names}}


class Load:
    """Clients that call every method, over and over; `answers` counts by status and who answered."""

    def __init__(self, world, clients=4):
        self._world = world
        self.answers = Counter()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 30
        while sum(self.answers.values()) < len(self._threads) and time.monotonic() < deadline:
            time.sleep(0.01)
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self, number):
        session, operations = URLLib3Session(), [*READS, *WRITES]
        while not self._end.is_set():
            number += 1
            self.answers[self._world.call(operations[number % len(operations)], session)] += 1
