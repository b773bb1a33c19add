"""Copy on the real databases: both sides become equal, whatever legacy's writers do meanwhile."""

from __future__ import annotations

import threading

import pytest
from copying import make_copying

from functions.copy import writer
from functions.copy.queue import ChangeQueue
from functions.copy.writer import TOO_LARGE
from functions.domain import changes, names, origin
from functions.domain.changes import ChangeKind


@pytest.fixture(scope="session")
def copied_chefs(make_legacy, bridge_user, sandbox):
    legacy = make_legacy("chefs")
    return make_copying(legacy, bridge_user(legacy).database, sandbox.client("dynamodb"))


@pytest.fixture
def chefs(copied_chefs):
    copied_chefs.clear()
    copied_chefs.begin()
    return copied_chefs


@pytest.fixture(scope="session")
def copied_natural(make_legacy, bridge_user, sandbox):
    legacy = make_legacy("chefs", key_type="string")
    return make_copying(legacy, bridge_user(legacy).database, sandbox.client("dynamodb"))


@pytest.fixture
def natural(copied_natural):
    copied_natural.clear()
    copied_natural.begin()
    return copied_natural


@pytest.fixture(scope="session")
def specimens(make_legacy, bridge_user, sandbox):
    legacy = make_legacy("specimens")
    made = make_copying(legacy, bridge_user(legacy).database, sandbox.client("dynamodb"))
    made.begin()
    return made


def _fill(copying, rows: int) -> None:
    """Rows from before the triggers."""
    table = copying.entity.legacy.table
    chefs = ", ".join(f"('chef {n}', 'x')" for n in range(rows))
    copying.legacy.database.execute(f"INSERT INTO {table} (cheffirst, cheflast) VALUES {chefs}")


def test_the_backfill_copies_every_row(chefs):
    _fill(chefs, 700)
    chefs.catch_up()
    assert chefs.converged()
    assert len(chefs.modern()) == chefs.number("rows_done") == chefs.number("enqueued") == 700
    assert ChangeQueue(chefs.legacy.database, chefs.entity).length(1) == 0


def test_changes_during_and_after_the_backfill_converge(chefs):
    _fill(chefs, 600)
    keys = list(chefs.legacy.everything())
    for n in range(4):
        chefs.once()
        chefs.changed(keys[n], "changed early")
        chefs.changed(keys[-n - 1], "changed late")
        chefs.writers.store.delete(keys[100 + n])
        chefs.created("new")
    chefs.catch_up()
    assert chefs.converged()
    assert len(chefs.modern()) == 600
    assert chefs.number("changes_done") == 16


def test_a_row_that_is_deleted_between_enqueueing_and_copying_leaves_no_item(chefs):
    _fill(chefs, 10)
    assert chefs.round(chefs.lane(0)).enqueued == 10
    for key in list(chefs.legacy.everything())[:5]:
        chefs.writers.store.delete(key)
    chefs.catch_up()
    assert len(chefs.modern()) == 5
    assert chefs.converged()


def test_a_row_that_comes_and_goes_many_times_is_written_once_a_round(chefs):
    chefs.begin(backfilled=True)
    key = chefs.created()
    for n in range(5):
        chefs.changed(key, f"name {n}")
    chefs.once()
    assert chefs.modern()[key]["firstName"] == "name 4"
    assert chefs.number("changes_done") == 6
    assert chefs.queued() == 0


def test_lanes_at_work_at_once_beside_a_busy_writer_converge(chefs):
    _fill(chefs, 300)
    stop = threading.Event()

    def write() -> None:
        for n in range(60):
            key = chefs.created(f"busy {n}")
            if n % 2:
                chefs.changed(key, "changed")
            if n % 3 == 0:
                chefs.writers.store.delete(key)
        stop.set()

    def work(lane) -> None:
        assert lane.lease.take()
        while not stop.is_set():
            lane.round()
        lane.lease.release()

    threads = [threading.Thread(target=work, args=(lane,)) for lane in chefs.lanes()]
    threads.append(threading.Thread(target=write))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chefs.catch_up()
    assert chefs.converged()


def test_attributes_outside_the_mapping_are_kept(chefs):
    key = chefs.created("Ana")
    chefs.put(key, firstName="old", lastName="old", stars={"N": "3"})
    chefs.catch_up()
    item = chefs.items()[key]
    assert origin.is_marked(key, item)
    assert {name: value for name, value in item.items() if name != names.ORIGIN_ATTRIBUTE} == {
        "ChefId": {"S": key},
        "firstName": {"S": "Ana"},
        "lastName": {"S": "Roš"},
        "stars": {"N": "3"},
    }


def test_an_equal_item_is_not_written(chefs):
    key = chefs.created("Gordon")
    chefs.put(key, lastName="Roš")  # without firstName: its default
    chefs.catch_up()
    assert names.ORIGIN_ATTRIBUTE not in chefs.items()[key]
    assert chefs.number("skipped") >= 1


def test_an_equal_item_that_was_about_to_be_deleted_is_written_without_the_mark(chefs):
    key = chefs.created("Ana")
    chefs.put(key, firstName="Ana", lastName="Roš", **{names.DELETING_ATTRIBUTE: {"BOOL": True}})
    chefs.catch_up()
    assert names.DELETING_ATTRIBUTE not in chefs.items()[key]
    assert chefs.converged()


def test_heartbeats_are_not_touched(natural):
    heartbeat = {names.HEARTBEAT_ATTRIBUTE: "token"}
    natural.put(names.HEARTBEAT_KEY, **heartbeat)
    natural.put("taken", **heartbeat)
    natural.created(key=names.HEARTBEAT_KEY)
    natural.writers.store.delete(names.HEARTBEAT_KEY)
    natural.created(key="taken")
    before = natural.items()
    natural.catch_up()
    assert natural.items() == before
    assert list(natural.quarantined) == ["taken"]


def _stream(sandbox, copying):
    streams = sandbox.client("dynamodbstreams")
    arn = streams.list_streams(TableName=copying.table)["Streams"][0]["StreamArn"]
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        place = {"StreamArn": arn, "ShardId": shard["ShardId"]}
        iterator = streams.get_shard_iterator(**place, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while iterator:
            answer = streams.get_records(ShardIterator=iterator)
            yield from answer["Records"]
            iterator = answer.get("NextShardIterator") if answer["Records"] else None


def test_the_bridge_applies_nothing_of_what_copy_does(chefs, sandbox):
    key, other = chefs.created("one"), chefs.created("two")
    chefs.put("orphan", firstName="of modern's", lastName="x")
    chefs.legacy.database.execute(
        f"INSERT INTO {names.CHANGES_TABLE} (entity, lane, item_key, enqueued_at) "
        f"VALUES ('chefs', {names.lane_of('orphan')}, 'orphan', UTC_TIMESTAMP(6))"
    )
    seen = len(list(_stream(sandbox, chefs)))
    chefs.catch_up()
    chefs.writers.store.delete(key)
    chefs.changed(other, "changed")
    chefs.catch_up()
    written = list(_stream(sandbox, chefs))[seen:]
    assert [record["eventName"] for record in written].count("REMOVE") == 2
    for record in written:
        kind = ChangeKind.COPIED if record["eventName"] == "REMOVE" else ChangeKind.WRITTEN
        assert [change.kind for change in changes.from_stream(chefs.entity, [record])] == [kind]


def test_natural_keys_converge_by_their_own_spelling(natural):
    for key in ("abc", "Zürich 8001", "日本"):
        natural.created(key, key=key)
    natural.catch_up()
    assert natural.converged()
    table = natural.entity.legacy.table
    natural.writers.database.execute(f"UPDATE {table} SET id = 'ABC' WHERE id = 'abc'")
    natural.catch_up()
    assert set(natural.modern()) == {"ABC", "Zürich 8001", "日本"}
    assert natural.converged()


def test_a_key_that_no_item_can_have_is_left_out_by_triggers_and_backfill(natural):
    natural.created("nameless", key="x")
    natural.writers.database.execute(f"UPDATE {natural.entity.legacy.table} SET id = '' WHERE id = 'x'")
    natural.created("named", key="y")
    natural.catch_up()
    assert list(natural.modern()) == ["y"]
    assert not natural.quarantined


def test_a_row_that_no_item_can_hold_is_quarantined_and_the_rest_goes_on(specimens):
    sql = (
        f"INSERT INTO {specimens.entity.legacy.table} (label, notes, price, found_at) "
        "VALUES (:label, REPEAT('n', :long), 1, '2020-01-01')"
    )
    labels = {"small": 10, "large": 300_000, "too large": 500_000}
    for label, length in labels.items():
        specimens.writers.database.execute(sql, {"label": {"stringValue": label}, "long": {"longValue": length}})
    specimens.catch_up()
    assert sorted(fields["label"] for fields in specimens.modern().values()) == ["large", "small"]
    assert list(specimens.quarantined.values()) == [TOO_LARGE]


def test_a_row_that_does_not_fit_the_mapping_is_quarantined_and_the_rest_goes_on(make_legacy, bridge_user, sandbox):
    legacy = make_legacy("chefs")
    copying = make_copying(legacy, bridge_user(legacy).database, sandbox.client("dynamodb"))
    legacy.server.execute(f"ALTER TABLE `{legacy.entity.legacy.database}`.cheftable MODIFY cheffirst VARBINARY(255)")
    legacy.database.execute("INSERT INTO cheftable (cheffirst, cheflast) VALUES (0xFF, 'x'), ('fine', 'x')")
    copying.begin()
    copying.catch_up()
    assert set(copying.quarantined) == {"1"}
    assert list(copying.modern()) == ["2"]


def test_begun_anew_it_deletes_what_an_earlier_copy_left_of_rows_that_are_gone(chefs, monkeypatch):
    monkeypatch.setattr(writer, "PAGE", 7)
    _fill(chefs, 30)
    chefs.catch_up()
    gone = sorted(chefs.items())[:10]
    for key in gone:  # as the bridge's user, whose writes the triggers do not see
        chefs.legacy.database.execute(f"DELETE FROM {chefs.entity.legacy.table} WHERE id = {key}")
    chefs.put("made-by-modern", firstName="Ana", lastName="x")
    chefs.begin(leftovers=True, started_at="2026-01-02T00:00:00Z")
    chefs.catch_up()
    assert set(chefs.modern()) == {*chefs.legacy.everything(), "made-by-modern"}
    assert not chefs.record()["leftovers"]["BOOL"]


def test_without_leftovers_no_item_is_looked_at(chefs):
    scans = []
    chefs.dynamodb.meta.events.register("before-call.dynamodb.Scan", lambda **_: scans.append(1), unique_id="scans")
    try:
        _fill(chefs, 30)
        chefs.catch_up()
    finally:
        chefs.dynamodb.meta.events.unregister("before-call.dynamodb.Scan", unique_id="scans")
    assert scans == []
