"""What the tests of `rollback --fence-modern` share: a writer past the gate, the table's policy, and its seconds."""

from __future__ import annotations

import contextlib
import json
import threading
import urllib.request
import uuid
from collections.abc import Iterator

import boto3
from botocore.exceptions import ClientError
from writes_world import switch, until

from runbook.aws.outputs import EntityTarget
from runbook.cutover.command import Scope
from runbook.cutover.steps import Choices
from runbook.stack import Context

FENCED = Choices(propagation_wait=0.0, warm=1, reads_stay=True, fence_modern=True, hold=15.0)
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
READER = {
    "Sid": "Readers",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
    "Action": "dynamodb:GetItem",
    "Resource": "*",
}


def set_seconds(context: Context, applies: float, blocked: float) -> None:
    """How long the sandbox takes to apply a policy, and for how long it refuses the next change."""
    body = json.dumps({"applies": applies, "blocked": blocked}).encode()
    request = urllib.request.Request(f"{context.target.endpoint_url}/_streamback/table_policies", body)
    with urllib.request.urlopen(request):
        pass


def arn(context: Context, entity: EntityTarget) -> str:
    return context.clients.dynamodb.describe_table(TableName=entity.modern_table)["Table"]["TableArn"]


def policy(context: Context, entity: EntityTarget) -> str | None:
    """The table's policy byte for byte; None for none."""
    try:
        return context.clients.dynamodb.get_resource_policy(ResourceArn=arn(context, entity))["Policy"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "PolicyNotFoundException":
            raise
        return None


def put_policy(context: Context, entity: EntityTarget) -> str:
    """A policy of the owner's that DynamoDB shows, with white space that no program would write; its text."""
    text = json.dumps({"Version": "2012-10-17", "Id": uuid.uuid4().hex, "Statement": READER}, indent=3)
    context.clients.dynamodb.put_resource_policy(ResourceArn=arn(context, entity), Policy=text)
    until(lambda: policy(context, entity) == text)
    return text


def rolled_back(context: Context, choices: Choices = FENCED) -> None:
    switch(context, "rollback", Scope.WRITES, choices).execute()


class Stranger:
    """A principal of its own that may do everything, and writes items without asking the gate."""

    def __init__(self, context: Context, entity: EntityTarget) -> None:
        name, iam = (
            f"stranger-{uuid.uuid4().hex[:8]}",
            context.clients.session.client("iam", endpoint_url=context.target.endpoint_url),
        )
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=context.target.region)
        self._client = session.client("dynamodb", endpoint_url=context.target.endpoint_url)
        self._table = entity.modern_table
        self.acknowledged: dict[str, str] = {}

    def write(self) -> bool:
        """One more item; whether it was acknowledged."""
        key = f"stranger-{uuid.uuid4().hex}"
        item = {"ChefId": {"S": key}, "firstName": {"S": key[-8:]}, "lastName": {"S": "past the gate"}}
        try:
            self._client.put_item(TableName=self._table, Item=item)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDeniedException":
                raise
            return False
        self.acknowledged[key] = key[-8:]
        return True

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Write all the time."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(0.01):
                self.write()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
