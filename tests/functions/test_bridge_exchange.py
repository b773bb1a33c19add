"""Changes that MySQL refuses only because of the order in which they come: a unique value, a row of a foreign key."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from legacy_world import BASE, EXAMPLES, STREAM, set_control

from functions.aws.mysql_errors import DUPLICATE, PermanentError, TransientError
from functions.bridge.exchange import Exchange
from functions.bridge.replay import Replay
from functions.domain import changes
from functions.domain.changes import Change, ChangeKind
from sandbox.database import product
from sandbox.database.product import Product

NULLABLE, NEEDED = "{} NULL", "{} NOT NULL"
KINDS = {
    "varchar": ({"type": "string", "max_length": 40}, "VARCHAR(40)", [{"S": "one"}, {"S": "two"}]),
    "text": ({"type": "string", "max_length": 40}, "VARCHAR(2)", [{"S": "1"}, {"S": "22"}]),
    "fixed": ({"type": "string", "max_length": 8, "fixed": True}, "CHAR(8)", [{"S": "one"}, {"S": "two"}]),
    "tiny": ({"type": "integer", "bits": 8}, "TINYINT", [{"N": "1"}, {"N": "-2"}]),
    "unsigned": ({"type": "integer", "bits": 32, "unsigned": True}, "INT UNSIGNED", [{"N": "1"}, {"N": "4294967295"}]),
    "decimal": ({"type": "decimal", "precision": 8, "scale": 3}, "DECIMAL(8,3)", [{"N": "1.5"}, {"N": "-99999.999"}]),
    "datetime": (
        {"type": "datetime", "fraction": 0},
        "DATETIME",
        [{"S": "2026-01-02T03:04:05Z"}, {"S": "2026-01-02T03:04:06Z"}],
    ),
    "date": ({"type": "date"}, "DATE", [{"S": "2026-01-02"}, {"S": "2026-01-03"}]),
    "bytes": ({"type": "bytes", "max_length": 16}, "VARBINARY(16)", [{"B": b"one"}, {"B": b"two"}]),
}


def thing(key: str, sequence: int, event: str = "MODIFY", **attributes: dict) -> dict:
    """A stream record of a thing."""
    keys = {"ThingId": {"S": key}}
    image = {} if event == "REMOVE" else {"NewImage": {**keys, **attributes}}
    return {"eventName": event, "dynamodb": {"Keys": keys, "SequenceNumber": str(sequence), **image}}


@pytest.fixture(scope="module")
def things_of(make_own):
    """Makes things whose column `u` is unique, in phase modern."""

    def make(kind: str, null: str):
        described, column, _ = KINDS[kind]
        field = {**described, "column": "u", **({"required": True} if null == NEEDED else {})}
        made = make_own(f"{null.format(f'u {column}')} UNIQUE", {"u": field}, prepared=True)
        set_control(made, legacy_stamp=0, generation=1, fenced=1)
        return made

    return make


@pytest.fixture(scope="module")
def shared(things_of):
    return things_of("varchar", NEEDED)


@pytest.fixture
def things(shared):
    """Things whose column `u` is a unique text."""
    shared.clear()
    set_control(shared, legacy_stamp=0, generation=1, fenced=1)
    return shared


def texts(things) -> dict[str, str]:
    return {key: fields["u"] for key, fields in things.everything().items()}


def text(value: str) -> dict:
    return {"u": {"S": value}}


@pytest.mark.parametrize("null", [NULLABLE, NEEDED])
@pytest.mark.parametrize("kind", KINDS)
def test_two_items_swap_their_values_in_one_batch(things_of, kind, null):
    made, (one, two) = things_of(kind, null), KINDS[kind][2]
    made.apply(thing("a", BASE, "INSERT", u=one), thing("b", BASE, "INSERT", u=two))
    before = made.everything()
    made.apply(thing("a", BASE + 1, u=two), thing("b", BASE + 2, u=one))
    after = made.everything()
    assert (after["a"], after["b"]) == (before["b"], before["a"])
    assert made.quarantined.changes == {}


def test_two_items_swap_their_values_in_batches_of_two_shards(things):
    things.apply(thing("a", BASE, "INSERT", **text("x")), thing("b", BASE, "INSERT", **text("y")))
    swap = [thing("a", BASE + 1, **text("y")), thing("b", BASE + 2, **text("x"))]
    things.written(*swap)
    things.apply(swap[0])
    assert texts(things) == {"a": "y", "b": "x"}
    things.apply(swap[1])
    assert texts(things) == {"a": "y", "b": "x"}
    assert things.quarantined.changes == {}


def test_a_later_change_of_a_row_that_was_brought_along_is_still_applied(things):
    things.apply(thing("a", BASE, "INSERT", **text("x")), thing("b", BASE + 5, "INSERT", **text("y")))
    swap = [thing("a", BASE + 6, **text("y")), thing("b", BASE + 7, **text("x"))]
    things.written(*swap)
    things.apply(swap[0])
    things.apply(thing("b", BASE + 8, **text("z")))
    things.apply(swap[1])
    assert texts(things) == {"a": "y", "b": "z"}


def test_values_that_go_round_in_batches_of_their_own(things):
    keys = [f"k{number}" for number in range(6)]
    things.apply(*(thing(key, BASE, "INSERT", **text(key)) for key in keys))
    turned = [thing(key, BASE + 1, **text(other)) for key, other in pairwise([*keys, keys[0]])]
    things.written(*turned)
    for each in turned:
        things.apply(each)
    assert texts(things) == dict(pairwise([*keys, keys[0]]))
    assert things.quarantined.changes == {}


@pytest.mark.parametrize("event", ["INSERT", "MODIFY"])
def test_a_value_that_a_delete_of_another_shard_frees_is_taken_at_once(things, event):
    things.apply(thing("b", BASE, "INSERT", **text("x")))
    if event == "MODIFY":
        things.apply(thing("a", BASE, "INSERT", **text("y")))
    taken, freed = thing("a", BASE + 2, event, **text("x")), thing("b", BASE + 1, "REMOVE")
    things.written(taken, freed)
    things.apply(taken)
    assert texts(things) == {"a": "x"}
    things.apply(freed)
    things.apply(thing("b", BASE, "INSERT", **text("x")))  # delivered again
    assert texts(things) == {"a": "x"}
    assert things.quarantined.changes == {}


def test_two_items_that_need_the_same_value_cannot_both_have_a_row(things):
    things.apply(thing("a", BASE, "INSERT", **text("x")), thing("b", BASE, "INSERT", **text("y")))
    things.apply(thing("b", BASE + 1, **text("X")))  # equal for the column's collation
    assert texts(things) == {"a": "x", "b": "y"}
    assert {key: code for key, (_, code) in things.quarantined.changes.items()} == {"b": 1062}


def test_what_legacy_owns_is_not_changed_for_the_sake_of_a_value(things):
    things.apply(thing("a", BASE, "INSERT", **text("y")))
    things.database.execute(f"INSERT INTO `{things.entity.legacy.table}` (u) VALUES ('x')")
    set_control(things, legacy_stamp=7, generation=2, fenced=0)
    before = texts(things)
    outcome = things.apply(thing("a", BASE + 1, **text("x")))
    assert (outcome.quarantined, texts(things)) == (1, before)


def test_replay_repairs_a_pair_that_was_quarantined(things):
    things.apply(thing("a", BASE, "INSERT", **text("x")), thing("b", BASE, "INSERT", **text("y")))
    things.written(thing("a", BASE + 1, **text("y")), thing("b", BASE + 2, **text("x")))
    assert Replay(things.entity, things.database, things.read).apply("b", BASE + 2, STREAM).reason == ""
    assert texts(things) == {"a": "y", "b": "x"}


@pytest.mark.parametrize("null", [NULLABLE, NEEDED])
def test_an_index_over_two_columns(make_own, null):
    fields = {name: {"type": "string", "column": name, "max_length": 9, "required": True} for name in ("u", "w")}
    if null == NULLABLE:
        del fields["w"]["required"]
    made = make_own(f"u CHAR(1) NOT NULL, {null.format('w VARCHAR(9)')}, UNIQUE (u, w(3))", fields, prepared=True)
    set_control(made, legacy_stamp=0, generation=1, fenced=1)
    one, two = {"u": {"S": "1"}, "w": {"S": "abc1"}}, {"u": {"S": "1"}, "w": {"S": "abd2"}}
    made.apply(thing("a", BASE, "INSERT", **one), thing("b", BASE, "INSERT", **two))
    made.apply(thing("a", BASE + 1, **two), thing("b", BASE + 2, **one))
    assert {key: fields["w"] for key, fields in made.everything().items()} == {"a": "abd2", "b": "abc1"}
    assert made.quarantined.changes == {}


KEYS, VALUES = ("a", "b", "c", "d"), ("1", "2", "3", "4", "5")


@st.composite
def histories(draw):
    """Transactions that leave values unique at each moment, and the order in which the records of each key arrive."""
    held: dict[str, str] = {}
    records: list[dict] = []
    for number in range(draw(st.integers(2, 8))):
        touched = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=4, unique=True))
        free = [value for value in VALUES if value not in {held[key] for key in held if key not in touched}]
        drawn = draw(st.permutations([*free, *[None] * 2]))
        for key, value in zip(touched, drawn, strict=False):
            event = "REMOVE" if value is None else "MODIFY" if key in held else "INSERT"
            if event == "REMOVE" and key not in held:
                continue
            held.pop(key, None) if value is None else held.update({key: value})
            records.append(thing(key, BASE + number, event, **(text(value) if value else {})))
    rest = {key: [one for one in records if one["dynamodb"]["Keys"]["ThingId"]["S"] == key] for key in KEYS}
    arriving = draw(st.permutations([one["dynamodb"]["Keys"]["ThingId"]["S"] for one in records]))
    batches: list[list[dict]] = []
    for key in arriving:
        one = rest[key].pop(0)
        if batches and draw(st.booleans()):
            batches[-1].append(one)
        else:
            batches.append([one])
    return held, records, batches


def deliver(things, batch: list[dict]) -> None:
    """Apply a batch; again after a transient error, as the mapping does: a row of it may go with another's exchange."""
    for last in (False, True):
        try:
            things.apply(*batch)
        except TransientError:
            if last:
                raise
        else:
            return


@pytest.mark.sweep
@EXAMPLES
@given(history=histories())
def test_every_legal_history_ends_in_what_the_items_are(things, history):
    held, records, batches = history
    things.clear()
    things.written(*records)
    for batch in batches:
        deliver(things, batch)
    assert texts(things) == held
    assert things.quarantined.changes == {}


@pytest.fixture
def family(make_own):
    """Things that refer to one another by a foreign key."""
    columns = "up VARCHAR(40) NULL, own VARCHAR(40) NULL UNIQUE, FOREIGN KEY (up) REFERENCES thing (own)"
    fields = {name: {"type": "string", "column": name, "max_length": 40} for name in ("up", "own")}
    made = make_own(columns, fields, prepared=True)
    set_control(made, legacy_stamp=0, generation=1, fenced=1)
    return made


def person(key: str, sequence: int, event: str = "INSERT", up: str = "") -> dict:
    attributes = {"own": {"S": key}, **({"up": {"S": up}} if up else {})}
    return thing(key, sequence, event, **({} if event == "REMOVE" else attributes))


def test_rows_that_refer_to_one_another_come_and_go_in_any_order_of_one_batch(family):
    family.apply(person("child", BASE, up="parent"), person("parent", BASE + 1), person("other", BASE + 1))
    assert {key: fields["up"] for key, fields in family.everything().items()} == {
        "child": "parent",
        "parent": None,
        "other": None,
    }
    outcome = family.apply(person("parent", BASE + 3, "REMOVE"), person("child", BASE + 4, "MODIFY", up="other"))
    assert {key: fields["up"] for key, fields in family.everything().items()} == {"child": "other", "other": None}
    assert (outcome.deletes, outcome.upserts, family.quarantined.changes) == (1, 1, {})
    family.apply(person("other", BASE + 5, "REMOVE"), person("child", BASE + 6, "REMOVE"))
    assert family.everything() == {}


def test_an_exchange_for_another_stream_leaves_every_row_as_it_is(things):
    """The stream was replaced after the batch was read: no value is freed, no sequence set back."""
    things.apply(thing("a", BASE, "INSERT", **text("x")), thing("b", BASE, "INSERT", **text("y")))
    things.written(thing("a", BASE + 1, **text("y")), thing("b", BASE + 2, **text("x")))
    before = [Replay(things.entity, things.database, things.read).place(key) for key in ("a", "b")]
    change = Change(key="a", sequence=BASE + 1, kind=ChangeKind.UPSERT)
    with pytest.raises(TransientError, match="exchange values"):
        Exchange(things.entity, things.database, f"{STREAM}-before", things.read).resolve(
            change, PermanentError("taken", DUPLICATE)
        )
    assert texts(things) == {"a": "x", "b": "y"}
    assert [Replay(things.entity, things.database, things.read).place(key) for key in ("a", "b")] == before


def test_a_value_that_does_not_fit_is_refused_though_the_server_is_not_strict(make_own):
    """Aurora's default mode is none."""
    if product.default() is not Product.MYSQL:
        pytest.skip("only MySQL has a mode of one statement; preflight demands a strict MariaDB")
    if os.environ.get("TRANSPORT") == "function":
        pytest.skip("a transaction that is run again takes no SET")
    made = make_own("u VARCHAR(3) NULL", {"u": {"column": "u", "type": "string"}}, prepared=True)
    made.apply(thing("changed", 1, u={"S": "abc"}))
    with made.database.transaction() as inside:
        inside.once("SET SESSION sql_mode = ''")
        try:
            found = [thing(key, 2, u={"S": "abcd"}) for key in ("changed", "new")]
            made.applier(inside).apply(changes.from_stream(made.entity, found))
        finally:
            inside.once("SET SESSION sql_mode = DEFAULT")
    assert {key: code for key, (_, code) in made.quarantined.changes.items()} == dict.fromkeys(("changed", "new"), 1406)
    assert made.everything()["changed"]["u"] == "abc"
