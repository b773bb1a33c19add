"""Phase modern, items that copy wrote, writers that do not know copy's mark: Aurora follows each of their changes."""

from __future__ import annotations

import pytest
from foreign_writers import WRITERS, Foreign
from writes_world import LEGACY, MODERN, bring_back, first_name, stands, switch, until, write

from functions.domain import names
from runbook.checks import plans
from runbook.cutover.steps import Choices
from runbook.errors import PreconditionError
from runbook.verify import run

IMPATIENT = Choices(propagation_wait=0.0, warm=0, timeout=1.0)


@pytest.fixture(scope="module")
def foreign(live):
    """The table in phase modern, with an item of copy's for each writer; back on legacy at the end."""
    entity = live.target.entity("chefs")
    assert run.run(live, entity, run.VerifyOptions()).clean
    made = Foreign(live, entity)
    made.keys = [made.copied() for _ in WRITERS]
    switch(live, "cutover").execute()
    made.await_idle()
    yield made
    bring_back(live)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_aurora_follows_a_writer_that_does_not_know_the_mark(live, foreign, writer):
    key = foreign.keys[WRITERS.index(writer)]
    assert names.ORIGIN_ATTRIBUTE in foreign.whole(key)
    expected = writer(foreign, key)
    for each, first in expected.items():
        until(lambda each=each, first=first: first_name(live, "aurora", each) == first)
        assert first_name(live, "dynamo", each) == first
    assert run.run(live, live.target.entity("chefs"), run.VerifyOptions()).clean


def test_verify_reports_a_change_that_the_bridge_has_not_applied(live, chefs, bridge_off):
    foreign = Foreign(live, chefs)
    key = foreign.copied()
    switch(live, "cutover").execute()
    with bridge_off():
        foreign.client.update_item(**foreign.names(key, "unseen"))
        found = run.run(live, chefs, run.VerifyOptions(grace=0))
        assert [difference.key for difference in found.differences] == [key]
    until(lambda: first_name(live, "aurora", key) == "unseen")


def test_a_rollback_waits_for_every_change_of_such_a_writer(live, chefs, bridge_off, monkeypatch):
    foreign, expected = Foreign(live, chefs), {}
    keys = [foreign.copied() for _ in WRITERS]
    switch(live, "cutover").execute()
    foreign.await_idle()
    with bridge_off():
        for writer, key in zip(WRITERS, keys, strict=True):
            expected |= writer(foreign, key)
        monkeypatch.setattr(plans, "checks", lambda *_, **__: [])
        changed = len(expected) - 1  # the cloned item itself is as it was
        with pytest.raises(PreconditionError, match=f"has not applied {changed} changes"):
            switch(live, "rollback", choices=IMPATIENT).execute()
        assert stands(live) == MODERN
    assert switch(live, "rollback").execute().changed
    assert stands(live) == LEGACY
    assert {key: first_name(live, "aurora", key) for key in expected} == expected


def test_after_a_forced_rollback_what_was_restored_before_still_reaches_aurora(live, chefs, bridge_off):
    foreign = Foreign(live, chefs)
    key = foreign.copied()
    whole = foreign.whole(key)
    switch(live, "cutover").execute()
    foreign.await_idle()
    foreign.client.delete_item(**foreign.place(key))
    until(lambda: first_name(live, "aurora", key) is None)
    with bridge_off():
        foreign.client.put_item(TableName=foreign.table, Item=whole)
        foreign.await_next_second()
        switch(live, "rollback", choices=Choices(propagation_wait=0.0, warm=1, force=True)).execute()
    until(lambda: first_name(live, "aurora", key) == "copied")


def test_what_copy_writes_reaches_aurora_never_as_a_change(live, chefs):
    key = write(live, "one", system="aurora")
    foreign = Foreign(live, chefs)
    until(lambda: foreign.whole(key))
    write(live, "two", key, system="aurora")
    until(lambda: first_name(live, "dynamo", key) == "two")
    assert live.api.request("DELETE", f"/aurora/chefs/{key}").status == 204
    until(lambda: first_name(live, "dynamo", key) is None)
    follower = live.follower(chefs, wanted={key})
    follower.reach(60.0)
    assert follower.take()[key].legacy
