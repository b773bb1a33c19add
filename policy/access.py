"""Rules about who can reach a stack from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policy.data import BUCKET, INSTANCE
from policy.rules import UNKNOWN, Resource, at, of, rule, stack_rule

BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
METHOD, REST_API = "aws:apigateway/method:Method", "aws:apigateway/restApi:RestApi"
SECURITY_GROUP, PERMISSION = "aws:ec2/securityGroup:SecurityGroup", "aws:lambda/permission:Permission"
BLOCKED = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
EVERYWHERE = {"0.0.0.0/0", "::/0"}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "x-amazon-apigateway-any-method"}


@stack_rule
def buckets_are_private(resources: Sequence[Resource]) -> Iterator[tuple[Resource, str]]:
    """A bucket has a public access block with all four switches on."""
    blocks = [each for each in of(BLOCK, resources) if all(each.properties.get(key) is True for key in BLOCKED)]
    private = {urn for each in blocks for urn in each.dependencies}
    for bucket in of(BUCKET, resources):
        if bucket.urn not in private:
            yield bucket, f"add a BucketPublicAccessBlock with {', '.join(BLOCKED)}"


@rule(INSTANCE)
def databases_are_private(instance: Resource) -> Iterator[str]:
    """A database instance has no public address."""
    if instance.properties.get("publiclyAccessible"):
        yield "leave publicly_accessible out"


@rule(SECURITY_GROUP)
def security_groups_let_no_network_in(group: Resource) -> Iterator[str]:
    """A security group lets in other groups or the stack's own network, not the internet."""
    entries: list[Any] = group.properties.get("ingress") or []
    for entry in entries:
        if EVERYWHERE & {*(at(entry, "cidrBlocks") or []), *(at(entry, "ipv6CidrBlocks") or [])}:
            yield "name security groups in ingress"


@rule(PERMISSION)
def callers_of_functions_are_named(permission: Resource) -> Iterator[str]:
    """A right to call a function names a service and the resource that it calls for."""
    principal = str(permission.properties.get("principal"))
    if "*" in principal:
        yield f"name a service as principal, got {principal}"
    elif not permission.properties.get("sourceArn"):
        yield "set source_arn"


@rule(METHOD, REST_API, production=True)
def production_apis_ask_who_calls(resource: Resource) -> Iterator[str]:
    """In production each method of the API asks for a signature."""
    if resource.type == REST_API:
        yield from (f"{method}: authorise it; {REMEDY}" for method in _open(resource.properties.get("body")))
    elif resource.properties.get("authorization") in {None, "NONE"}:
        yield f"set authorization; {REMEDY}"


REMEDY = "`pulumi config set streamback:apiAuth AWS_IAM`"


def _open(body: str | None) -> list[str]:
    """The methods of an OpenAPI document that anyone may call."""
    if not body or body == UNKNOWN:
        return []
    document = json.loads(body)
    every = {
        f"{method.upper()} {path}": operation
        for path, item in document.get("paths", {}).items()
        for method, operation in item.items()
        if method in METHODS
    }
    return [name for name, operation in every.items() if not _authorised(document, operation)]


def _authorised(document: Mapping[str, Any], operation: Mapping[str, Any]) -> bool:
    if (kind := at(operation, "x-amazon-apigateway-auth", "type")) is not None:
        return kind.upper() != "NONE"
    return bool(operation.get("security", document.get("security")))
