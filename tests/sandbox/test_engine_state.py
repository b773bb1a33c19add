"""The engine's state on disk: what a run that is killed leaves, and what the next one reads."""

from __future__ import annotations

from dataclasses import asdict
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine.state import Record, State

STEPS = st.lists(
    st.tuples(st.sampled_from(["begin", "put", "again", "replace", "abandon", "remove"]), st.integers(0, 3))
)


def read(state):
    """What the next run would know."""
    return [asdict(record) for record in state.records], state.creating


def do(state, step, urn, numbers):
    """One step of an engine; what needs a record that is not there does nothing."""
    record = state.find(urn)
    if step in {"begin", "abandon"}:
        getattr(state, step)(urn)
    elif step == "put" and record is None:
        state.put(Record(urn=urn, type="test:shelf", id=f"shelf-{next(numbers)}", inputs={"size": 1}, outputs={}))
    elif record and step == "remove":
        state.remove(record)
    elif record:
        record.inputs = {"size": len(state.records)}
        record.replaced = step == "replace"
        state.put(record)


@given(STEPS)
def test_the_next_run_knows_every_step_that_was_done(tmp_path_factory, steps):
    path, numbers = tmp_path_factory.mktemp("state") / "state.json", count()
    state = State.load(path)
    for step, number in steps:
        do(state, step, f"urn:{number}", numbers)
        assert read(State.load(path)) == read(state)


def test_a_replaced_record_stays_until_it_is_removed_and_its_successor_is_found(tmp_path):
    state = State.load(tmp_path / "state.json")
    old, new = (Record(urn="urn:1", type="test:shelf", id=id_, inputs={}, outputs={}) for id_ in ("old", "new"))
    state.put(old)
    old.replaced = True
    state.put(old)
    state.put(new)
    later = State.load(tmp_path / "state.json")
    assert [(each.id, each.replaced) for each in later.records] == [("old", True), ("new", False)]
    assert later.find("urn:1").id == "new"
    later.remove(later.records[0])
    assert [each.id for each in State.load(tmp_path / "state.json").records] == ["new"]


def test_a_run_that_began_a_resource_and_was_killed_in_a_line_leaves_it_as_begun(tmp_path):
    state = State.load(tmp_path / "state.json")
    state.begin("urn:1")
    with (tmp_path / "state.log").open("a", encoding="utf-8") as log:
        log.write('{"put": {"urn": "urn:1", "ty')
    later = State.load(tmp_path / "state.json")
    assert (later.records, later.creating) == ([], {"urn:1"})
    later.abandon("urn:1")
    assert State.load(tmp_path / "state.json").creating == set()
