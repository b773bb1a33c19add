"""A stack that an earlier version of the program deployed: this version replaces nothing that holds data."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from pulumi_stacks import changes
from saved_state import HOLDS_DATA, LEADS_THERE

from sandbox.deploy import Request
from sandbox.engine.program import STACK
from sandbox.pulumi_cli import run, workspace
from sandbox.state import CACHE, PROJECT, Folder, default_root

FOLDER = Path(__file__).parent / "states"
STATES, NEWEST = sorted(FOLDER.glob("*.json")), FOLDER / "before-one-schedule.json"


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """What a preview on a saved state would do; no sandbox is needed."""

    @cache
    def previewed(state, **config):
        folder = Folder(tmp_path_factory.mktemp("state"), default_root() / CACHE)
        place = workspace.of(folder)
        place.write(folder, PROJECT, config, preview=False)
        run.call(place, "stack", "init", STACK)
        run.call(place, "stack", "import", "--file", str(state))
        found = []
        run.run(Request(state=folder.resources, config=config, preview=True), folder, found.append)
        return found

    return previewed


@pytest.mark.parametrize(
    "state", [pytest.param(path, id=path.stem, marks=() if path == NEWEST else pytest.mark.long) for path in STATES]
)
def test_what_holds_data_is_neither_replaced_nor_deleted_nor_made_again(steps, state):
    found = [step for step in steps(state) if step.type.rsplit(":", 1)[-1] in HOLDS_DATA]
    assert found
    assert changes(found) <= {("update", kind) for kind in HOLDS_DATA}


def test_of_the_lanes_schedules_the_first_is_not_touched_and_the_others_go_and_what_leads_to_data_stays(steps):
    """An update of the first would write the state that Pulumi remembers, DISABLED, while copy runs."""
    found = [step for step in steps(NEWEST) if step.type.rsplit(":", 1)[-1] in LEADS_THERE]
    schedules = sorted(step.change.value for step in found if step.type.endswith(":Schedule"))
    assert [change for change in schedules if change != "same"] == ["delete"] * 3
    assert changes(found) - {("delete", "Schedule")} <= {("update", kind) for kind in LEADS_THERE if kind != "Schedule"}
    assert {step.type.rsplit(":", 1)[-1] for step in found} == set(LEADS_THERE)


def test_a_table_of_another_name_is_found_to_be_replaced(steps):
    assert ("replace", "Table") in changes(steps(NEWEST, tablePrefix="other-"))
