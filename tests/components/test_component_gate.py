"""The gate as the program describes it: it asks the journal and calls writers, and outlasts no client."""

from __future__ import annotations

import json

NAME = "streamback-dev-gate-writes"


def test_the_gate_has_as_long_as_api_gateway_waits(stack):
    assert stack.one("function:Function", NAME)["inputs"]["timeout"] == 29


def test_the_gate_may_call_the_writers_and_count_in_the_journal_and_nothing_else(stack):
    document = json.loads(stack.one("rolePolicy:RolePolicy", NAME)["inputs"]["policy"])
    found = {action: each["Resource"] for each in document["Statement"] for action in each["Action"]}
    writers = (stack.outputs["legacyWriteFunction"], stack.outputs["entities"]["chefs"]["writeFunction"])
    journal, logs = ["arn:of:streamback-dev-journal-table"], [f"arn:of:{NAME}-logs:*"]
    assert found == {
        "lambda:InvokeFunction": [f"arn:of:{writer}" for writer in writers],
        "dynamodb:GetItem": journal,
        "dynamodb:UpdateItem": journal,
        "logs:CreateLogStream": logs,
        "logs:PutLogEvents": logs,
    }
