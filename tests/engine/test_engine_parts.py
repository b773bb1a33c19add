"""The parts of the program one after the other and out again, by both engines, which make the same of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import pytest
from pulumi_stacks import Stack, changes

from sandbox import lifecycle
from sandbox.engine.state import State
from sandbox.kinds import Engine
from sandbox.pulumi_cli import checkpoint

pytestmark = pytest.mark.long
LEGACY, MODERN, ALL = ["legacy"], ["legacy", "modern"], ["legacy", "modern", "bridge"]
WAY = (LEGACY, MODERN, ALL, MODERN, LEGACY)
IDENTIFIED = re.compile(
    r"-[0-9a-f]{7}\b|\b[0-9a-f]{8}-[0-9a-f-]{27}|\b[0-9a-f]{8,64}\b|\b[A-Z0-9]{16,}\b"  # names and ids
    r"|\d{4}-\d\d-\d\dT[\d:.]+|127\.0\.0\.1:\d+|(?<=secret:)[^\"\\\\]+"  # times, ports, secrets' ARNs
)
VOLATILE = {
    "code",
    "sourceCodeSize",
    "codeSha256",
    "lastModified",
    "createdDate",
    "port",
    "DATABASE_PORT",
    "__defaults",
}


@dataclass(frozen=True)
class Stage:
    """What an engine did to reach some parts, and what it then had."""

    changed: set[tuple[str, str]]
    inputs: dict[str, dict]
    outputs: dict[str, dict]
    exported: dict


def neutral(value):
    """The value without what is another at each run: names that were made, ids, times and ports."""
    if isinstance(value, dict):
        return {key: neutral(each) for key, each in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [neutral(each) for each in value]
    return IDENTIFIED.sub("*", value) if isinstance(value, str) else value


def resources(folder):
    """URN, inputs and outputs of each resource, by the engine that the sandbox has."""
    for record in State.load(folder.resources).records:
        yield record.urn, record.inputs, record.properties
    for each in checkpoint.resources(folder):
        yield each["urn"], each["inputs"], each["outputs"]


def stage(stack, parts):
    sandbox = stack.up(parts=parts)
    found = list(resources(sandbox.location))
    return Stage(
        changed=changes(stack.steps),
        inputs={urn: neutral(inputs) for urn, inputs, _ in found},
        outputs={urn: neutral(outputs) for urn, _, outputs in found},
        exported=neutral({name: value for name, value in sandbox.outputs.items() if name not in lifecycle.ACCESS}),
    )


def different(one, other):
    """The properties that differ: the resource's name, the property's, and both values."""
    return [
        (urn.rsplit("::", 1)[-1], name, one[urn].get(name), other[urn].get(name))
        for urn in one.keys() & other.keys()
        for name in sorted(one[urn].keys() | other[urn].keys())
        if one[urn].get(name) != other[urn].get(name)
    ]


@pytest.fixture(scope="module")
def by_pulumi(stack):
    return [stage(stack, parts) for parts in WAY]


@pytest.fixture(scope="module")
def in_process():
    name = f"test-{os.getpid()}-in-process"
    try:
        yield [stage(Stack(name, Engine.IN_PROCESS), parts) for parts in WAY]
    finally:
        lifecycle.down(name)


@pytest.mark.parametrize("number", range(len(WAY)))
def test_both_engines_make_the_same_resources(by_pulumi, in_process, number):
    assert by_pulumi[number].inputs.keys() == in_process[number].inputs.keys()


@pytest.mark.parametrize("number", range(len(WAY)))
def test_both_engines_give_them_the_same_inputs(by_pulumi, in_process, number):
    assert different(by_pulumi[number].inputs, in_process[number].inputs) == []


@pytest.mark.parametrize("number", range(len(WAY)))
def test_both_engines_record_the_same_outputs(by_pulumi, in_process, number):
    assert different(by_pulumi[number].outputs, in_process[number].outputs) == []


@pytest.mark.parametrize("number", range(len(WAY)))
def test_both_engines_export_the_same(by_pulumi, in_process, number):
    assert by_pulumi[number].exported == in_process[number].exported


@pytest.mark.parametrize("number", range(len(WAY)))
def test_both_engines_do_the_same_on_the_way(by_pulumi, in_process, number):
    assert by_pulumi[number].changed == in_process[number].changed


def test_going_back_deletes_what_the_part_made_and_replaces_nothing_else(by_pulumi):
    replaced = {kind for each in by_pulumi for change, kind in each.changed if change == "replace"}
    assert replaced <= {"Deployment"}


def test_going_back_leaves_what_was_there_before(by_pulumi):
    assert by_pulumi[4].inputs.keys() == by_pulumi[0].inputs.keys()
    assert by_pulumi[3].inputs.keys() == by_pulumi[1].inputs.keys()
