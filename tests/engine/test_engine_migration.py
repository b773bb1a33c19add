"""A whole migration of a stack that Pulumi's engine deployed: no preview on the way touches a route."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from pulumi_stacks import changes, pulumi

from sandbox import fill, lifecycle
from sandbox.pulumi_cli import workspace

pytestmark = pytest.mark.long
RUNBOOK = Path(sys.executable).parent / "runbook"
TIMEOUT, BETWEEN = 60.0, 1.0  # seconds
STEPS = ("cutover reads", "cutover writes", "rollback", "cutover reads again", "cutover writes again", "complete")
NOT_YET = {3, 4}  # exit codes: the sides differ, a check does not hold


@pytest.fixture(scope="module")
def runbook(stack):
    """Runs a command of the runbook, again and again while a check does not hold."""
    outputs = stack.up().location.outputs

    def run(*words):
        deadline = time.monotonic() + TIMEOUT
        while True:
            command = [RUNBOOK, *words, "--outputs", outputs]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode not in NOT_YET or time.monotonic() > deadline:
                assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
                return done.stdout
            time.sleep(BETWEEN)

    return run


@pytest.fixture(scope="module")
def story(runbook, name, stack):
    """The stage's variables and a preview after each step."""
    sandbox = lifecycle.find(name)
    runbook("init", "--create-tables")
    fill.fill(sandbox, 50)
    runbook("copy", "start")
    found = {"before": _look(sandbox, name)}
    for step in STEPS:
        runbook("verify")
        runbook(*step.removesuffix(" again").split(), "--execute")
        found[step] = _look(sandbox, name)
    stack.up()
    return SimpleNamespace(after=found, steps=stack.steps, last=_look(sandbox, name), sandbox=sandbox)


def _look(sandbox, name):
    place = {"restApiId": sandbox.outputs["apiId"], "stageName": sandbox.outputs["stageName"]}
    variables = sandbox.client("apigateway").get_stage(**place)["variables"]
    return SimpleNamespace(variables=variables, preview=pulumi(name, "preview", "--expect-no-changes"))


@pytest.mark.parametrize("step", ["before", *STEPS])
def test_a_preview_after_each_step_changes_nothing(story, step):
    preview = story.after[step].preview
    assert preview.returncode == 0, preview.stdout


def test_the_routes_moved_and_an_up_leaves_them(story):
    after = story.after
    assert after["cutover writes"].variables != after["before"].variables
    assert after["complete"].variables != after["before"].variables
    assert changes(story.steps) == set()
    assert story.last.variables == after["complete"].variables


def test_a_refresh_before_a_preview_leaves_the_routes_too(story, name):
    done = pulumi(name, "preview", "--refresh", "--expect-no-changes")
    assert done.returncode == 0, done.stdout


def test_the_runbook_reads_the_outputs_from_the_stack_itself(story, name):
    place, outputs = workspace.of(story.sandbox.location), story.sandbox.outputs
    access = {
        "AWS_ENDPOINT_URL": outputs["endpointUrl"],
        "AWS_ACCESS_KEY_ID": outputs["accessKeyId"],
        "AWS_SECRET_ACCESS_KEY": outputs["secretAccessKey"],
        "PATH": f"{place.cli.parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [RUNBOOK, "status", "--json", "--stack", "sandbox"]
    done = subprocess.run(
        command, cwd=place.path, env={**place.environment, **access}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "chefs" in json.dumps(json.loads(done.stdout))
