"""Whose change a stream record shows, decided by its images: a property test, and each kind of writer by itself."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain import origin
from functions.domain.names import ORIGIN_ATTRIBUTE
from functions.domain.origin import Idle

START = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = ("a", "b")
TIMEOUT = timedelta(minutes=15)  # of the function that marks and then deletes
HOUR = timedelta(seconds=origin.LONGEST_SECONDS)


def nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * origin.NANOSECONDS


def record(key: str, before: Any, after: Any, moment: datetime = START) -> dict[str, Any]:
    data: dict[str, Any] = {"Keys": {"Id": {"S": key}}, "ApproximateCreationDateTime": moment.timestamp()}
    data |= {"OldImage": before} if before else {}
    data |= {"NewImage": after} if after else {}
    return {"eventName": "REMOVE" if not after else "MODIFY" if before else "INSERT", "dynamodb": data}


def item(key: str, name: str, **more: Any) -> dict[str, Any]:
    return {"Id": {"S": key}, "name": {"S": name}, **more}


def copied(key: str, name: str, before: Any = None, moment: datetime = START) -> dict[str, Any]:
    return {**item(key, name), **origin.mark(key, before, nanoseconds(moment))}


def number_of(image: Any) -> int:
    parts = (image or {}).get(ORIGIN_ATTRIBUTE, {}).get("S", "").split(":")
    return int(parts[1]) if len(parts) == 3 else -1


class World:
    """A table, all that was ever read of it, and every change of it with whether copy made it."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.read: list[dict[str, Any]] = []
        self.marked: list[dict[str, Any]] = []  # images that copy was about to delete
        self.marked_at: dict[str, datetime] = {}
        self.changes: list[tuple[dict[str, Any], bool]] = []
        self.moment = START

    def put(self, key: str, after: Any, *, by_copy: bool = False) -> None:
        before = self.items.pop(key, None)
        if after:
            self.items[key] = after
            self.read.append(after)
        if before != after:  # the stream shows no write that changes nothing
            self.changes.append((record(key, before, after, self.moment), by_copy))


def copy_writes(world: World, key: str, name: str) -> None:
    world.put(key, copied(key, name, world.items.get(key), world.moment), by_copy=True)


def copy_marks(world: World, key: str, _name: str) -> None:
    if key in world.items:
        marked = origin.marked_for_delete(key, world.items[key], nanoseconds(world.moment))
        world.marked.append(marked)
        world.marked_at[key] = world.moment
        world.put(key, marked, by_copy=True)


def copy_deletes(world: World, key: str, _name: str) -> None:
    """Delete what it has marked. What somebody has written since is not what copy meant to delete."""
    marked_at = world.marked_at.pop(key, None)
    if marked_at and world.moment - marked_at <= TIMEOUT:
        world.put(key, None, by_copy=world.items.get(key) in world.marked)


def updates(world: World, key: str, name: str) -> None:
    """UpdateItem: every other attribute stays."""
    world.put(key, {**world.items.get(key, {"Id": {"S": key}}), "name": {"S": name}})


def replaces(world: World, key: str, name: str) -> None:
    """PutItem of a writer that knows its own attributes only."""
    world.put(key, item(key, name))


def puts_older(world: World, key: str, name: str) -> None:
    """PutItem of a whole item that was read before, as it was or with a change."""
    old = [each for each in world.read if each["Id"]["S"] == key and not restores(world, key, each)]
    if old:
        world.put(key, old[0] if name == "as it was" else {**old[-1], "name": {"S": name}})


def clones(world: World, key: str, _name: str) -> None:
    """PutItem of another key's whole item."""
    for other in KEYS:
        clone = {**world.items.get(other, {}), "Id": {"S": key}}
        if other != key and other in world.items and not restores(world, key, clone):
            world.put(key, clone)


def restores(world: World, key: str, image: Any) -> bool:
    """Whether it brings back a value of this very key that is gone: only `Idle`, or an hour, gives that away."""
    value, now = image.get(ORIGIN_ATTRIBUTE), number_of(world.items.get(key))
    own = [each.get(ORIGIN_ATTRIBUTE) for each in world.read if each["Id"]["S"] == key]
    return number_of(image) > now and value in own


def deletes(world: World, key: str, _name: str) -> None:
    """DeleteItem. Of what copy is about to delete it is no other change than copy's own."""
    if world.items.get(key) not in world.marked:
        world.put(key, None)


STEPS = (copy_writes, copy_marks, copy_deletes, updates, replaces, puts_older, clones, deletes)
steps = st.tuples(
    st.sampled_from(STEPS), st.sampled_from(KEYS), st.sampled_from(("x", "y", "as it was")), st.integers(0, 1200)
)


@given(history=st.lists(steps, max_size=30))
@settings(max_examples=500, deadline=None)
def test_with_any_writer_between_copys_writes_each_change_is_found_to_be_its_writers(history):
    world = World()
    for step, key, name, seconds in history:
        world.moment += timedelta(seconds=seconds)
        step(world, key, name)
    for change, by_copy in world.changes:
        assert origin.by_copy(change["dynamodb"]["Keys"]["Id"]["S"], change) == by_copy, change


def test_copys_first_write_its_next_and_its_delete_are_its_own():
    first = copied("a", "x")
    second = copied("a", "y", first)
    marked = origin.marked_for_delete("a", second, nanoseconds(START))
    for before, after in ((None, first), (first, second), (second, marked), (marked, None)):
        assert origin.by_copy("a", record("a", before, after))


@pytest.mark.parametrize("clock", [START, START - timedelta(minutes=5), START + timedelta(minutes=5)])
def test_the_number_grows_whatever_the_clock_says(clock):
    before = copied("a", "x")
    assert number_of(copied("a", "y", before, clock)) > number_of(before)


@pytest.mark.parametrize("tampered", [{"name": {"S": "y"}}, {"more": {"NULL": True}}, {"Id": {"S": "b"}}])
def test_a_delete_of_an_item_that_was_written_after_copy_marked_it_is_somebody_elses(tampered):
    marked = origin.marked_for_delete("a", copied("a", "x"), nanoseconds(START)) | tampered
    assert not origin.by_copy(marked["Id"]["S"], record(marked["Id"]["S"], marked, None))


@pytest.mark.parametrize(
    "value", [{"S": "legacy:1:2"}, {"S": "modern"}, {"N": "1"}, {"S": "legacy:x:0123456789abcdef"}]
)
def test_a_value_that_copy_does_not_write_is_not_copys(value):
    after = {**item("a", "x"), ORIGIN_ATTRIBUTE: value}
    assert not origin.by_copy("a", record("a", None, after))
    assert not origin.is_marked("a", after)


def test_an_item_that_is_restored_from_a_backup_is_modern_s():
    old = copied("a", "x")
    assert origin.by_copy("a", record("a", None, old, START + HOUR))
    assert not origin.by_copy("a", record("a", None, old, START + HOUR + timedelta(seconds=1)))
    assert not origin.by_copy("a", record("a", item("a", "y"), old, START + HOUR + timedelta(seconds=1)))


def test_what_is_restored_while_copy_is_idle_is_modern_s_however_new_its_mark_is():
    new, second = copied("a", "x"), timedelta(seconds=1)
    later, until = record("a", None, new, START + 5 * second), START + 6 * second
    assert origin.by_copy("a", later)
    assert not origin.by_copy("a", later, Idle(START))
    assert not origin.by_copy("a", later, Idle(START, until))
    assert origin.by_copy("a", later, Idle(START + 5 * second))  # of that second: the images decide
    assert origin.by_copy("a", later, Idle(START, until - timedelta(milliseconds=1)))


def test_a_mark_of_an_older_version_is_copys_where_it_newly_appears():
    marked = {**item("a", "x"), ORIGIN_ATTRIBUTE: {"S": "legacy"}}
    assert origin.by_copy("a", record("a", None, marked))
    assert origin.by_copy("a", record("a", item("a", "x"), marked))
    assert not origin.by_copy("a", record("a", marked, {**marked, "name": {"S": "y"}}))
    assert not origin.by_copy("a", record("a", copied("a", "x"), marked))
    assert origin.by_copy("a", record("a", marked, copied("a", "x", marked)))


def test_both_forms_of_a_stream_record_give_the_same_digest():
    whole = item(
        "a",
        "x",
        raw={"B": b"\x00\xff"},
        many={"BS": [b"b", b"a"]},
        set={"SS": ["b", "a"]},
        tree={"M": {"l": {"L": [{"B": b"1"}]}}},
    )
    marked = origin.marked_for_delete("a", whole, nanoseconds(START))
    as_event = {
        **marked,
        "raw": {"B": base64.b64encode(b"\x00\xff").decode()},
        "many": {"BS": [base64.b64encode(each).decode() for each in (b"a", b"b")]},
        "set": {"SS": ["a", "b"]},
        "tree": {"M": {"l": {"L": [{"B": base64.b64encode(b"1").decode()}]}}},
    }
    for image in (marked, as_event):
        assert origin.by_copy("a", record("a", image, None))
