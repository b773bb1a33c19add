"""The IAM actions that a process uses, taken from its boto3 calls."""

from __future__ import annotations

import contextlib
import functools

from botocore.client import BaseClient

PREFIX = {"dynamodbstreams": "dynamodb", "streams.dynamodb": "dynamodb", "monitoring": "cloudwatch"}
# Where IAM's name of an action is not that of the call.
NAMED_OTHERWISE = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("s3", "DeleteObjects"): "DeleteObject",
    ("s3", "HeadObject"): "GetObject",
    ("s3", "ListObjectVersions"): "ListBucketVersions",
    ("s3", "ListObjectsV2"): "ListBucket",
    ("s3", "PutBucketEncryption"): "PutEncryptionConfiguration",
    ("s3", "DeleteBucketEncryption"): "PutEncryptionConfiguration",
    ("s3", "PutPublicAccessBlock"): "PutBucketPublicAccessBlock",
    ("s3", "DeletePublicAccessBlock"): "PutBucketPublicAccessBlock",
}
WRITES = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}
FREE = {"sts:GetCallerIdentity"}  # needs no right


def actions(client, operation, given):
    """The actions of one call."""
    model = client.meta.service_model
    prefix = PREFIX.get(model.endpoint_prefix, model.endpoint_prefix)
    if prefix == "apigateway":
        return {f"apigateway:{model.operation_model(operation).http['method']}"}
    if operation == "TransactWriteItems":
        return {f"dynamodb:{WRITES[kind]}" for item in given["TransactItems"] for kind in item}
    return {f"{prefix}:{NAMED_OTHERWISE.get((prefix, operation), operation)}"} - FREE


@contextlib.contextmanager
def recorded():
    """The actions used within, by every client."""
    used, call = set(), BaseClient._make_api_call

    @functools.wraps(call)
    def noted(client, operation, given):
        used.update(actions(client, operation, given))
        return call(client, operation, given)

    BaseClient._make_api_call = noted
    try:
        yield used
    finally:
        BaseClient._make_api_call = call
