"""Changing the tags of a resource that exists, by each service's own calls: MiniStack's common one knows few."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.engine.aws import Aws
from sandbox.engine.shape import tags as as_list


@dataclass(frozen=True)
class Calls:
    """How one service sets and removes tags.

    Args:
        client: the service's name in boto3.
        tag, untag: the two operations.
        subject: the argument that names the resource.
        tags, keys: the arguments that hold tags and keys of tags.
        form: tags as a list of Key and Value, of key and value, or as a map.
        by: the resource is named by its ARN or by its id.
    """

    client: str
    tag: str
    untag: str
    subject: str
    tags: str = "Tags"
    keys: str = "TagKeys"
    form: Literal["list", "map", "lower"] = "list"
    by: Literal["arn", "id"] = "arn"


# By the service in the ARN; in IAM by the kind of resource.
SERVICES = {
    "apigateway": Calls("apigateway", "tag_resource", "untag_resource", "resourceArn", "tags", "tagKeys", "map"),
    "cloudwatch": Calls("cloudwatch", "tag_resource", "untag_resource", "ResourceARN"),
    "dynamodb": Calls("dynamodb", "tag_resource", "untag_resource", "ResourceArn"),
    "iam:oidc-provider": Calls(
        "iam", "tag_open_id_connect_provider", "untag_open_id_connect_provider", "OpenIDConnectProviderArn"
    ),
    "iam:policy": Calls("iam", "tag_policy", "untag_policy", "PolicyArn"),
    "iam:role": Calls("iam", "tag_role", "untag_role", "RoleName", by="id"),
    "lambda": Calls("lambda", "tag_resource", "untag_resource", "Resource", form="map"),
    "logs": Calls("logs", "tag_resource", "untag_resource", "resourceArn", "tags", "tagKeys", "map"),
    "rds": Calls("rds", "add_tags_to_resource", "remove_tags_from_resource", "ResourceName"),
    "states": Calls("stepfunctions", "tag_resource", "untag_resource", "resourceArn", "tags", "tagKeys", "lower"),
    "secretsmanager": Calls("secretsmanager", "tag_resource", "untag_resource", "SecretId"),
}


def retag(aws: Aws, arn: str, id_: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Give the resource the tags `new`, which has `old`.

    Raises:
        ValueError: the tags of this service can only be set at creation here.
    """
    service = arn.split(":")[2]
    if service == "iam":
        service += f":{arn.split(':')[5].partition('/')[0]}"
    if service == "s3":  # puts all of a bucket's tags at once
        aws.client("s3").put_bucket_tagging(Bucket=id_, Tagging={"TagSet": as_list({"tags": new})})
    elif service == "ec2":  # untags by tags, not by keys
        aws.client("ec2").delete_tags(Resources=[id_], Tags=[{"Key": key} for key in old.keys() - new.keys()])
        aws.client("ec2").create_tags(Resources=[id_], Tags=as_list({"tags": new}))
    elif service in SERVICES:
        _call(aws, SERVICES[service], arn if SERVICES[service].by == "arn" else id_, old, new)
    else:
        raise ValueError(f"the sandbox cannot change the tags of {arn}")


def _call(aws: Aws, calls: Calls, subject: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    client: Any = aws.client(calls.client)
    gone = sorted(old.keys() - new.keys())
    if gone:
        getattr(client, calls.untag)(**{calls.subject: subject, calls.keys: gone})
    if new:
        tags: Any = dict(new) if calls.form == "map" else as_list({"tags": new})
        if calls.form == "lower":
            tags = [{"key": key, "value": value} for key, value in new.items()]
        getattr(client, calls.tag)(**{calls.subject: subject, calls.tags: tags})
