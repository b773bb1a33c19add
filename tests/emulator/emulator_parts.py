"""Small AWS parts of a test's own in the shared sandbox: functions, tables, stream mappings, REST APIs."""

from __future__ import annotations

import datetime as dt
import io
import json
import time
import uuid
import zipfile

ACCOUNT_ROLE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.03)
    return found


class Parts:
    """Makes parts with names of their own."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.clients = {name: sandbox.client(name) for name in ("lambda", "dynamodb", "iam", "s3", "apigateway")}
        self.name = f"t{uuid.uuid4().hex[:10]}"
        self.count = 0

    def unique(self) -> str:
        self.count += 1
        return f"{self.name}-{self.count}"

    def function(self, code: str, **variables: str) -> str:
        """A function `index.handler` that may do everything; returns its ARN."""
        name = self.unique()
        role = self.clients["iam"].create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ACCOUNT_ROLE))
        self.clients["iam"].put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", code)
        made = self.clients["lambda"].create_function(
            FunctionName=name,
            Role=role["Role"]["Arn"],
            Runtime="python3.13",
            Handler="index.handler",
            Code={"ZipFile": packed.getvalue()},
            Environment={"Variables": variables},
            Timeout=20,
        )
        return made["FunctionArn"]

    def table(self, *, stream: bool = False) -> dict:
        return self.clients["dynamodb"].create_table(
            TableName=self.unique(),
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            **(
                {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
                if stream
                else {}
            ),
        )["TableDescription"]

    def put(self, table: str, key: str, value: str = "") -> None:
        self.clients["dynamodb"].put_item(TableName=table, Item={"k": {"S": key}, "v": {"S": value}})

    def total(self, namespace: str, metric: str, statistic: str = "Sum", **dimensions: str) -> float | None:
        """A metric's statistic over the last hour; None when nothing was recorded."""
        now = dt.datetime.now(dt.UTC)
        points = self.sandbox.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=now - dt.timedelta(hours=1),
            EndTime=now + dt.timedelta(minutes=1),
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        return sum(point[statistic] for point in points) if points else None
