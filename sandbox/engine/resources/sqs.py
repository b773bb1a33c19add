"""Queues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.engine.names import AutoName
from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import capital, section
from sandbox.engine.state import Record

# Pulumi's name → the queue attribute's.
ATTRIBUTES = {
    "visibilityTimeoutSeconds": "VisibilityTimeout",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "delaySeconds": "DelaySeconds",
    "maxMessageSize": "MaximumMessageSize",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
    "kmsMasterKeyId": "KmsMasterKeyId",
    **{name: capital(name) for name in ("redrivePolicy", "policy", "fifoQueue", "contentBasedDeduplication")},
}


@handles(
    "aws:sqs/queue:Queue",
    properties="name fifoQueue tags",
    updates=" ".join(ATTRIBUTES.keys() - {"fifoQueue"}),
    name=AutoName("name", 80),
    holds_data=True,
)
class Queue(Handler):
    """A queue; its attributes are all strings."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        sqs = self.aws.client("sqs")
        url = sqs.create_queue(QueueName=inputs["name"], Attributes=_attributes(inputs), tags=section(inputs, "tags"))[
            "QueueUrl"
        ]
        return Made(url, {"arn": self.aws.arn("sqs", inputs["name"]), "url": url})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        attributes = _attributes({name: inputs.get(name, "") for name in changed})
        self.aws.client("sqs").set_queue_attributes(QueueUrl=record.id, Attributes=attributes)
        return {}

    def delete(self, record: Record) -> None:
        self.aws.client("sqs").delete_queue(QueueUrl=record.id)


def _attributes(inputs: Mapping[str, Any]) -> dict[str, str]:
    return {
        attribute: str(inputs[name]).lower() if isinstance(inputs[name], bool) else str(inputs[name])
        for name, attribute in ATTRIBUTES.items()
        if inputs.get(name) is not None
    }
