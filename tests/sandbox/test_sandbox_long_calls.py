"""A sandbox goes down at once, whatever its functions are at, and leaves none of them behind."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from sandbox import lifecycle, processes

BODY = """
    code = "\\n".join((
        "import os, pathlib, time",
        "def handler(event, context):",
        "    (pathlib.Path(os.environ['FOLDER']) / str(os.getpid())).touch()",
        "    time.sleep(300)",
    ))
    role = aws.iam.Role("role", assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
    function = aws.lambda_.Function("long", runtime="python3.13", handler="long.handler", role=role.arn, timeout=300,
        environment={"variables": {"FOLDER": pulumi.Config().require("folder")}},
        code=pulumi.AssetArchive({"long.py": pulumi.StringAsset(code)}))
    pulumi.export("function", function.name)
"""
CALLS = 4


@pytest.fixture
def busy(programs, tmp_path):
    """A sandbox with calls that last for minutes, and their processes."""
    name = f"test-{os.getpid()}-long"
    folder = tmp_path / "running"
    folder.mkdir()
    sandbox = lifecycle.up(name, {"folder": str(folder)}, program=programs.write(BODY), current=False)
    client = sandbox.client("lambda")
    for _ in range(CALLS):
        client.invoke(FunctionName=sandbox.outputs["function"], InvocationType="Event")
    deadline = time.monotonic() + 60
    while len(found := list(folder.iterdir())) < CALLS:
        assert time.monotonic() < deadline
        time.sleep(0.03)
    yield sandbox, [psutil.Process(int(each.name)) for each in found]
    lifecycle.down(name)


def test_down_ends_functions_in_the_middle_of_their_calls(busy):
    sandbox, workers = busy
    sandbox.down()
    assert all(processes.over(worker) for worker in workers)


def test_functions_that_outlive_a_killed_server_are_ended_with_the_sandbox(busy):
    sandbox, workers = busy
    os.kill(sandbox.location.daemon().pid, signal.SIGKILL)
    assert not all(processes.over(worker) for worker in workers)
    sandbox.down()
    assert all(processes.over(worker) for worker in workers)
