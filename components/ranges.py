"""The state machine that copies a large table by ranges of keys, many at once; it costs nothing until it is started."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components import policies
from components.function import Function

LONGEST_CALL_SECONDS = 360  # of a step: the copy function's timeout, and a minute
# Each retry takes the range over from the worker before, at the position that it stored. Afterwards the range counts
# as failed, the others continue, and `copy start` resumes it.
RETRY = [
    {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "BackoffRate": 2, "MaxDelaySeconds": 60, "MaxAttempts": 12}
]


@dataclass(frozen=True, kw_only=True)
class RangeMachineArgs:
    """What the machine is.

    Attributes:
        worker: copy's function, which does every step.
        boundary_arn: the policy that bounds the role; empty for none.
    """

    worker: Function
    boundary_arn: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class RangeMachine(pulumi.ComponentResource):
    """One state machine for all entities, and its role; `arn` is the machine's."""

    def __init__(self, name: str, args: RangeMachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:copy:RangeMachine", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            assume_role_policy=pulumi.Output.json_dumps(policies.trust("states.amazonaws.com")),
            permissions_boundary=args.boundary_arn or None,
            tags=args.tags,
            opts=child,
        )
        aws.iam.RolePolicy(
            f"{name}-call", role=role.name, policy=policies.document([policies.invoke([args.worker.arn])]), opts=child
        )
        machine = aws.sfn.StateMachine(
            f"{name}-machine",
            role_arn=role.arn,
            type="STANDARD",
            definition=pulumi.Output.json_dumps(definition(args.worker.arn)),
            tags=args.tags,
            opts=child,
        )
        self.arn = machine.arn
        # why a policy of its own: the role is older than the machine's ARN
        aws.iam.RolePolicy(
            f"{name}-children",
            role=role.name,
            policy=policies.document(policies.map_over_executions(machine.arn)),
            opts=child,
        )
        self.register_outputs({"arn": self.arn})


def definition(worker: pulumi.Input[str]) -> dict[str, Any]:
    """Plan the ranges, copy them in a distributed map, end. A range is copied by as many calls as it takes."""
    every = {"entity.$": "$.entity", "run.$": "$$.Execution.Name"}
    child = {"entity.$": "$.entity", "run.$": "$.run", "range.$": "$.range"}
    return {
        "StartAt": "Plan",
        "States": {
            "Plan": _step(worker, {"step": "plan", **every}, "Planned"),
            "Planned": _choice("Plan", "Copy"),
            "Copy": {
                "Type": "Map",
                "Label": "Ranges",
                "ItemsPath": "$.done.ranges",
                "ItemSelector": {**every, "range.$": "$$.Map.Item.Value"},
                "MaxConcurrencyPath": "$.done.workers",
                "ToleratedFailurePercentage": 100,  # the last step looks at each range
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "Range",
                    "States": {
                        "Range": _step(worker, {"step": "copy", **child}, "Ranged"),
                        "Ranged": _choice("Range", "Left"),
                        # nothing, since all outputs together may have 256 KiB
                        "Left": {"Type": "Pass", "Result": {}, "End": True},
                    },
                },
                "ResultPath": None,
                "Next": "End",
            },
            "End": _step(worker, {"step": "end", **every}, ""),
        },
    }


def _step(worker: pulumi.Input[str], event: dict[str, str], following: str) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": worker,
        "TimeoutSeconds": LONGEST_CALL_SECONDS,
        "Parameters": event,
        "ResultPath": "$.done",
        "Retry": RETRY,
        **({"Next": following} if following else {"End": True}),
    }


def _choice(again: str, otherwise: str) -> dict[str, Any]:
    more = {"Variable": "$.done.more", "BooleanEquals": True, "Next": again}
    return {"Type": "Choice", "Choices": [more], "Default": otherwise}
