"""Secrets, without their values: those never pass through the program."""

from collections.abc import Mapping
from typing import Any

from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, found, pick, tags
from sandbox.engine.state import Record


@handles(
    "aws:secretsmanager/secret:Secret",
    properties="name tags",
    updates="description forceOverwriteReplicaSecret kmsKeyId recoveryWindowInDays",
    name=AutoName("name", 512),
    holds_data=True,
)
class Secret(Handler):
    """An empty secret."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        secret = self.aws.client("secretsmanager").create_secret(
            Name=inputs["name"], Tags=tags(inputs), **pick(inputs, "description kmsKeyId")
        )
        return Made(secret["ARN"], {"arn": secret["ARN"]})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        secrets = self.aws.client("secretsmanager")
        secrets.update_secret(SecretId=record.id, **pick(inputs, "description kmsKeyId"))
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        return found(self.aws.client("secretsmanager").describe_secret(SecretId=record.id), "description kmsKeyId")

    def delete(self, record: Record) -> None:
        arguments: dict[str, Any] = {"ForceDeleteWithoutRecovery": True}  # a successor may need the name at once
        self.aws.client("secretsmanager").delete_secret(SecretId=record.id, **arguments)
