"""State machines of Step Functions."""

from collections.abc import Mapping
from typing import Any

from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, section
from sandbox.engine.state import Record

UPDATES = "definition roleArn"


@handles(
    "aws:sfn/stateMachine:StateMachine",
    properties="name type tags",
    updates=UPDATES,
    name=AutoName("name", 80),
    holds_data=True,  # its executions
)
class StateMachine(Handler):
    """A state machine; its ARN is its id, as pulumi-aws has it."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        tags = [{"key": key, "value": value} for key, value in section(inputs, "tags").items()]
        made = self.aws.client("stepfunctions").create_state_machine(
            **_given(inputs, "name definition roleArn type"), tags=tags
        )
        return Made(made["stateMachineArn"], {"arn": made["stateMachineArn"]})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        wanted = _given(inputs, UPDATES)
        self.aws.client("stepfunctions").update_state_machine(stateMachineArn=record.id, **wanted)
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        return _given(self.aws.client("stepfunctions").describe_state_machine(stateMachineArn=record.id), UPDATES)

    def delete(self, record: Record) -> None:
        self.aws.client("stepfunctions").delete_state_machine(stateMachineArn=record.id)


def _given(inputs: Mapping[str, Any], names: str) -> dict[str, Any]:
    """Some inputs, as they are named: this service's names begin with a small letter, too."""
    return {name: inputs[name] for name in names.split() if name in inputs}
