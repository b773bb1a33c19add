"""What has to happen to one resource, decided without any AWS."""

from __future__ import annotations

import pytest

from sandbox.engine.plan import Change, Goal, plan
from sandbox.engine.registry import Handler
from sandbox.engine.shape import AutoName
from sandbox.engine.state import Record


class Shelf(Handler):
    """A resource type for these tests."""

    token = "test:shelf"
    properties = frozenset({"name", "size", "colour", "labels", "tags"})
    updates = frozenset({"colour", "labels"})
    autoname = AutoName("name", 20)
    delete_first = False
    part_of = ""
    holds_data = False


def goal(**inputs):
    options = {key: inputs.pop(key) for key in ("ignore", "replace_on", "delete_first") if key in inputs}
    return Goal(urn="urn:shelf", type="test:shelf", name="shelf", inputs=inputs, **options)


def record(**inputs):
    return Record(urn="urn:shelf", type="test:shelf", id="1", inputs={"name": "shelf-abc", **inputs}, outputs={})


def test_a_new_resource_is_created_under_its_name_and_seven_digits():
    made = plan(goal(size=1), None, Shelf)
    assert made.change is Change.CREATE
    assert made.inputs["name"].startswith("shelf-")
    assert len(made.inputs["name"]) == len("shelf-") + 7


def test_a_name_that_the_program_gives_is_kept_as_it_is():
    assert plan(goal(name="mine"), None, Shelf).inputs["name"] == "mine"


def test_a_logical_name_that_leaves_no_room_is_refused_as_on_aws():
    wish = Goal(urn="urn", type="test:shelf", name="a-shelf-with-a-long-name", inputs={})
    with pytest.raises(ValueError, match="longer than the 20"):
        plan(wish, None, Shelf)


def test_the_same_inputs_change_nothing():
    assert plan(goal(size=1), record(size=1), Shelf).change is Change.SAME


def test_a_property_that_can_change_in_place_is_updated():
    made = plan(goal(size=1, colour="red"), record(size=1, colour="blue"), Shelf)
    assert (made.change, made.changed) == (Change.UPDATE, {"colour"})


def test_a_property_that_is_no_longer_given_has_changed():
    assert plan(goal(size=1), record(size=1, colour="blue"), Shelf).changed == {"colour"}


def test_any_other_property_replaces_the_resource_under_a_new_name():
    made = plan(goal(size=2), record(size=1), Shelf)
    assert made.change is Change.REPLACE
    assert made.inputs["name"] != "shelf-abc"
    assert not made.delete_first


def test_a_replacement_under_the_same_given_name_deletes_first():
    made = plan(goal(name="shelf-abc", size=2), record(size=1), Shelf)
    assert (made.change, made.delete_first) == (Change.REPLACE, True)


def test_tags_always_change_in_place():
    assert plan(goal(tags={"a": "1"}), record(tags={"a": "2"}), Shelf).change is Change.UPDATE


def test_replace_on_changes_replaces_where_an_update_would_do():
    made = plan(goal(colour="red", replace_on=("colour",)), record(colour="blue"), Shelf)
    assert made.change is Change.REPLACE


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("colour", {"colour": "blue"}, {"colour": "red"}),
        ("colour", {}, {"colour": "red"}),
        ("colour", {"colour": "blue"}, {}),
        ("labels.first", {"labels": {"first": "a", "second": "b"}}, {"labels": {"first": "z", "second": "b"}}),
    ],
)
def test_a_change_of_an_ignored_property_is_no_change(path, old, new):
    assert plan(goal(**new, ignore=(path,)), record(**old), Shelf).change is Change.SAME


def test_ignoring_one_key_leaves_the_others_to_the_program():
    wish = goal(labels={"first": "z", "second": "y"}, ignore=("labels.first",))
    made = plan(wish, record(labels={"first": "a", "second": "b"}), Shelf)
    assert made.inputs["labels"] == {"first": "a", "second": "y"}


def test_an_unknown_property_is_refused_by_its_name():
    with pytest.raises(ValueError, match="'height'"):
        plan(goal(height=3), None, Shelf)


def test_anew_replaces_an_unchanged_resource_and_keeps_its_name():
    made = plan(goal(size=1), record(size=1), Shelf, anew=True)
    assert (made.change, made.delete_first, made.inputs["name"]) == (Change.REPLACE, True, "shelf-abc")
