"""The state machine that copies by ranges, as the program describes it: one for all entities, with its own rights."""

from __future__ import annotations

import json

from test_component_copy import SPECIMENS, rights

MACHINE = "arn:of:streamback-dev-ranges-machine"


def definition(stack):
    return json.loads(stack.one("stateMachine:StateMachine")["inputs"]["definition"])


def test_all_entities_share_one_machine(describe):
    stack = describe(entitiesFile=SPECIMENS)
    assert len(stack.of("stateMachine:StateMachine")) == 1
    assert stack.outputs["rangeMachineArn"] == MACHINE


def test_every_task_is_a_call_of_copys_function_that_is_tried_again(stack):
    states = definition(stack)["States"]
    tasks = [states["Plan"], states["Copy"]["ItemProcessor"]["States"]["Range"], states["End"]]
    assert {each["Resource"] for each in tasks} == {f"arn:of:{stack.outputs['copyFunction']}"}
    assert all(each["Retry"][0]["MaxAttempts"] for each in tasks)


def test_a_range_that_fails_does_not_end_the_others(stack):
    mapped = definition(stack)["States"]["Copy"]
    assert mapped["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    assert mapped["ToleratedFailurePercentage"] == 100


def test_its_role_may_call_the_worker_and_map_over_its_own_executions(stack):
    assert rights(stack, "ranges-call") == {"lambda:InvokeFunction": [f"arn:of:{stack.outputs['copyFunction']}"]}
    children = [f"{MACHINE}:*"]  # a real ARN says `execution` there
    assert rights(stack, "ranges-children") == {
        "states:StartExecution": [MACHINE],
        "states:DescribeExecution": children,
        "states:StopExecution": children,
    }


def test_a_stack_without_a_bridge_has_no_machine(describe):
    assert describe(parts='["legacy", "modern"]').of("stateMachine:StateMachine") == []
