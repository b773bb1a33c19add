"""The follower sees all that was written before it asks: on MiniStack's one shard, and on forced ones as on AWS."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from functions.domain import names, origin
from runbook.aws.stream import Follower
from runbook.aws.stream_shards import Shards
from runbook.aws.watermarks import Watermarks
from runbook.errors import PreconditionError

TIMEOUT = 30.0
EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def context(prepared):
    return prepared


@pytest.fixture(scope="module")
def chefs(context):
    return context.target.entity("chefs")


@pytest.fixture
def items(context, chefs):
    """Writes items of chefs, and deletes them at the end."""
    made: list[str] = []

    def put(*, legacy=False, key=""):
        made.append(key or f"s-{uuid.uuid4().hex[:8]}")
        mark = origin.mark(made[-1], None) if legacy else {}
        item = {"ChefId": {"S": made[-1]}, "firstName": {"S": uuid.uuid4().hex}, **mark}
        context.clients.dynamodb.put_item(TableName=chefs.modern_table, Item=item)
        return made[-1]

    yield put
    for key in set(made):
        delete(context, chefs, key)


def delete(context, chefs, key):
    context.clients.dynamodb.delete_item(TableName=chefs.modern_table, Key={"ChefId": {"S": key}})


def delete_by_copy(context, chefs, key):
    table = {"TableName": chefs.modern_table}
    item = context.clients.dynamodb.get_item(**table, Key={"ChefId": {"S": key}}, ConsistentRead=True)["Item"]
    context.clients.dynamodb.put_item(**table, Item=origin.marked_for_delete(key, item))
    delete(context, chefs, key)


def test_everything_written_before_is_seen_and_taken_once(context, chefs, items):
    ours, copied = items(), items(legacy=True)
    follower = context.follower(chefs)
    follower.reach(TIMEOUT)
    seen = follower.take()
    assert (seen[ours].legacy, seen[ours].removed) == (False, False)
    assert seen[copied].legacy
    assert seen[copied].sequence > seen[ours].sequence
    assert follower.take() == {}


def test_what_comes_between_two_calls_is_seen_by_the_second(context, chefs, items):
    first = items()
    follower = context.follower(chefs)
    follower.reach(TIMEOUT)
    before = follower.take()[first]
    items(key=first)
    later = [items() for _ in range(20)]
    delete(context, chefs, later[0])
    follower.reach(TIMEOUT)
    seen = follower.take()
    assert set(later) | {first} <= set(seen)
    assert seen[first].sequence > before.sequence
    assert seen[later[0]].removed
    assert not seen[later[0]].legacy


def test_a_removal_by_copy_is_known_as_such(context, chefs, items):
    key = items(legacy=True)
    delete_by_copy(context, chefs, key)
    follower = context.follower(chefs)
    follower.reach(TIMEOUT)
    seen = follower.take()[key]
    assert (seen.legacy, seen.removed) == (True, True)


def test_no_watermark_is_left_behind_or_seen_as_a_record(context, chefs, items):
    items()
    follower = context.follower(chefs)
    follower.reach(TIMEOUT)
    follower.reach(TIMEOUT)
    assert not [key for key in follower.take() if key.startswith(names.HEARTBEAT_KEY)]
    found = context.clients.dynamodb.scan(TableName=chefs.modern_table)["Items"]
    assert not [item for item in found if item["ChefId"]["S"].startswith(f"{names.HEARTBEAT_KEY}-")]


def test_who_waits_for_the_bridge_keeps_what_modern_wrote_and_nothing_that_copy_did(context, chefs, items):
    ours, copied, overwritten = items(), items(legacy=True), items()
    items(key=overwritten, legacy=True)
    deleted = items()
    delete_by_copy(context, chefs, deleted)
    follower = context.follower(chefs, copied=False)
    follower.keeps = True
    follower.reach(TIMEOUT)
    seen = follower.take()
    assert {ours, copied, overwritten, deleted} & set(seen) == {ours, overwritten, deleted}
    assert not [key for key in (ours, overwritten, deleted) if seen[key].legacy or seen[key].removed]
    assert [key for key in (ours, copied, overwritten, deleted) if follower.record(key)] == [ours, overwritten, deleted]


@pytest.mark.parametrize("left", [1, pytest.param(140, marks=pytest.mark.long)])
def test_watermarks_that_a_killed_run_has_left_are_removed_by_the_next(context, chefs, left):
    Watermarks(context.clients.dynamodb, chefs.modern_table, "ChefId").write("of a killed run", left)
    context.follower(chefs).reach(TIMEOUT)
    found = context.clients.dynamodb.scan(TableName=chefs.modern_table)["Items"]
    assert not [item for item in found if item["ChefId"]["S"].startswith(f"{names.HEARTBEAT_KEY}-")]


def test_a_run_that_is_killed_while_it_removes_leaves_the_first_watermarks(context, chefs, monkeypatch):
    watermarks = Watermarks(context.clients.dynamodb, chefs.modern_table, "ChefId")
    watermarks.write("of a killed run", 60)
    real, sent = watermarks._send, []

    def send(requests):
        if sent:
            raise KeyboardInterrupt
        sent.append(requests)
        return real(requests)

    monkeypatch.setattr(watermarks, "_send", send)
    with pytest.raises(KeyboardInterrupt):
        watermarks.remove()
    Watermarks(context.clients.dynamodb, chefs.modern_table, "ChefId").sweep()
    found = context.clients.dynamodb.scan(TableName=chefs.modern_table)["Items"]
    assert not [item for item in found if item["ChefId"]["S"].startswith(f"{names.HEARTBEAT_KEY}-")]


@pytest.mark.long
def test_two_followers_do_not_take_each_others_watermarks(context, chefs, items):
    wanted = {items() for _ in range(5)}
    followers = [context.follower(chefs) for _ in range(4)]
    threads = [threading.Thread(target=each.reach, args=(TIMEOUT,)) for each in followers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(wanted <= set(each.take()) for each in followers)


@pytest.mark.long
def test_under_constant_writes_it_comes_to_an_end(context, chefs, items):
    stop, key = threading.Event(), items()

    def write():
        while not stop.is_set():
            items(key=key)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    try:
        follower = context.follower(chefs)
        for _ in range(3):
            follower.reach(TIMEOUT)
        assert key in follower.take()
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def test_a_record_older_than_asked_for_is_passed_over_with_a_minutes_slack(context, chefs, items):
    key, now = items(), dt.datetime.now(dt.UTC)
    for since, there in ((now, True), (now + dt.timedelta(minutes=5), False)):
        follower = context.follower(chefs, since)
        follower.reach(TIMEOUT)
        assert (key in follower.take()) == there


def test_only_the_wanted_keys_are_kept(context, chefs, items):
    key, other = items(), items()
    follower = context.follower(chefs, wanted={key})
    follower.reach(TIMEOUT)
    assert set(follower.take()) == {key}
    assert other != key


def test_an_iterator_that_expired_is_replaced_behind_the_last_record(context, chefs, items, monkeypatch):
    first = items()
    follower = context.follower(chefs)
    follower.reach(TIMEOUT)
    follower.take()
    second = items()
    asked: list[str] = []
    client = context.clients.streams
    real_records, real_iterator = client.get_records, client.get_shard_iterator

    def records(**given):
        if not asked:
            raise failure("ExpiredIteratorException")
        return real_records(**given)

    def iterator(**given):
        asked.append(given["ShardIteratorType"])
        return real_iterator(**given)

    monkeypatch.setattr(client, "get_records", records)
    monkeypatch.setattr(client, "get_shard_iterator", iterator)
    follower.reach(TIMEOUT)
    seen = follower.take()
    assert asked == ["AFTER_SEQUENCE_NUMBER"]
    assert second in seen
    assert first not in seen


def test_a_stream_that_shows_nothing_in_time_fails_and_the_watermarks_are_gone(context, chefs, items, monkeypatch):
    monkeypatch.setattr(Shards, "shown", lambda self: False)
    with pytest.raises(PreconditionError, match="did not show the latest writes"):
        context.follower(chefs).reach(0.3)
    found = context.clients.dynamodb.scan(TableName=chefs.modern_table)["Items"]
    assert not [item for item in found if item["ChefId"]["S"].startswith(f"{names.HEARTBEAT_KEY}-")]


def test_a_stream_that_is_gone_is_reported(context, chefs):
    elsewhere = replace(chefs, stream_arn=chefs.stream_arn + "-gone")
    with pytest.raises(PreconditionError, match="is not there"):
        context.follower(elsewhere).reach(1)


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "forced"}}, "GetRecords")


class Stream:
    """A stream of many shards as AWS answers for one: two shards a page of the list, iterators that end."""

    def __init__(self) -> None:
        self.shards: dict[str, dict] = {}
        self.log: list[str] = []
        self.sequence = 0
        self.exceptions = type("E", (), {"ResourceNotFoundException": LookupError})

    def shard(self, name, parent=""):
        self.shards[name] = {"parent": parent, "records": [], "closed": False, "hidden": False}

    def write(self, name, **image):
        self.sequence += 1
        data = {"SequenceNumber": str(self.sequence), "Keys": {"ChefId": {"S": image["key"]}}}
        data["NewImage"] = {"ChefId": {"S": image["key"]}}
        if "token" in image:
            data["NewImage"][names.HEARTBEAT_ATTRIBUTE] = {"S": image["token"]}
        data["ApproximateCreationDateTime"] = image.get("at", EPOCH)
        self.shards[name]["records"].append({"eventName": "MODIFY", "dynamodb": data})

    def describe_stream(self, **given):
        after = given.get("ExclusiveStartShardId")
        names_ = [name for name, shard in self.shards.items() if not shard["hidden"]]
        start = names_.index(after) + 1 if after else 0
        page = names_[start : start + 2]
        more = {"LastEvaluatedShardId": page[-1]} if len(names_) > start + 2 else {}
        shards = [self._described(name) for name in page]
        return {"StreamDescription": {"StreamStatus": "ENABLED", "Shards": shards, **more}}

    def _described(self, name):
        shard = self.shards[name]
        parent = {"ParentShardId": shard["parent"]} if shard["parent"] else {}
        ending = {"EndingSequenceNumber": "9"} if shard["closed"] else {}
        return {"ShardId": name, "SequenceNumberRange": {"StartingSequenceNumber": "0", **ending}, **parent}

    def get_shard_iterator(self, **given):
        name, last = given["ShardId"], given.get("SequenceNumber")
        if name not in self.shards:
            raise failure("ResourceNotFoundException")
        sequences = [each["dynamodb"]["SequenceNumber"] for each in self.shards[name]["records"]]
        at = sequences.index(last) + 1 if given["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER" else 0
        return {"ShardIterator": f"{name}:{at}"}

    def get_records(self, **given):
        name, at = given["ShardIterator"].split(":")
        if name not in self.shards:
            raise failure("ResourceNotFoundException")
        self.log.append(name)
        shard, start = self.shards[name], int(at)
        page = shard["records"][start : start + min(given["Limit"], 2)]
        ended = shard["closed"] and start + len(page) == len(shard["records"])
        return {"Records": page, **({} if ended else {"NextShardIterator": f"{name}:{start + len(page)}"})}


class Table:
    """Takes watermarks, and puts each into one of the open shards of a stream."""

    def __init__(self, stream: Stream, into=None) -> None:
        self.stream, self.into, self.there = stream, into, dict[str, str]()

    def batch_get_item(self, **given):
        ((name, request),) = given["RequestItems"].items()
        wanted = [key for key in request["Keys"] if key["ChefId"]["S"] in self.there]
        return {"Responses": {name: wanted}}

    def batch_write_item(self, **given):
        ((_, requests),) = given["RequestItems"].items()
        for request in requests:
            if "DeleteRequest" in request:
                self.there.pop(request["DeleteRequest"]["Key"]["ChefId"]["S"])
                continue
            item = request["PutRequest"]["Item"]
            key = item["ChefId"]["S"]
            self.there[key] = item[names.HEARTBEAT_ATTRIBUTE]["S"]
            open_shards = [name for name, shard in self.stream.shards.items() if not shard["closed"]]
            shard = self.into or open_shards[int(key[-4:]) % len(open_shards)]
            self.stream.write(shard, key=key, token=self.there[key])
        return {}


@pytest.fixture
def forced(context, chefs):
    """A follower on a forced stream."""
    stream = Stream()

    def of(into=None, since=None):
        clients = type("C", (), {"target": context.target, "streams": stream, "dynamodb": Table(stream, into)})
        return stream, Follower(clients, chefs, since)

    return of


def test_parents_are_read_before_their_children_and_all_pages_of_shards_are(forced):
    stream, follower = forced()
    for name, parent in (("c1", "p"), ("c2", "p"), ("other", ""), ("p", "trimmed")):
        stream.shard(name, parent)
    stream.shards["p"]["closed"] = True
    for name in ("p", "p", "p", "c1", "c2", "other"):
        stream.write(name, key="the same" if name != "other" else "another")
    follower.reach(TIMEOUT)
    first = [name for name in dict.fromkeys(stream.log) if name != "other"]
    assert first[0] == "p"
    assert set(follower.take()) == {"the same", "another"}
    assert follower.clients.dynamodb.there == {}


def test_it_waits_for_every_open_shard_to_show_a_watermark(forced):
    stream, follower = forced(into="a")
    stream.shard("a")
    stream.shard("b")
    with pytest.raises(PreconditionError):
        follower.reach(0.3)
    stream, follower = forced()
    follower.reach(TIMEOUT)


def test_a_shard_that_splits_meanwhile_is_followed_into_its_children(forced):
    stream, follower = forced()
    stream.shard("p")
    stream.write("p", key="in the parent")
    follower.reach(TIMEOUT)
    stream.shards["p"]["closed"] = True
    stream.shard("left", "p")
    stream.shard("right", "p")
    stream.write("left", key="left")
    stream.write("right", key="right")
    follower.reach(TIMEOUT)
    assert set(follower.take()) == {"in the parent", "left", "right"}


def test_an_ended_shard_whose_children_are_not_listed_yet_is_not_the_end(forced):
    stream, follower = forced()
    stream.shard("p")
    stream.shard("steady")
    follower.reach(TIMEOUT)
    stream.shards["p"]["closed"] = True
    stream.shard("late", "p")
    stream.shards["late"]["hidden"] = True
    stream.write("late", key="in the late one")
    with pytest.raises(PreconditionError):
        follower.reach(0.3)
    stream.shards["late"]["hidden"] = False
    follower.reach(TIMEOUT)
    assert "in the late one" in follower.take()


def test_a_shard_that_is_past_its_day_while_it_is_read_is_left(forced):
    stream, follower = forced()
    stream.shard("old")
    stream.shard("new", "old")
    stream.shards["old"]["closed"] = True
    stream.write("old", key="old")
    real = stream.get_records

    def expire(**given):
        stream.shards.pop("old", None)
        return real(**given)

    stream.get_records = expire
    stream.write("new", key="new")
    follower.reach(TIMEOUT)
    assert set(follower.take()) == {"new"}


def test_trimmed_records_are_passed_over(forced):
    stream, follower = forced()
    stream.shard("a")
    stream.write("a", key="first")
    follower.reach(TIMEOUT)
    stream.write("a", key="second")
    real, failures = stream.get_records, ["TrimmedDataAccessException"]

    def trimmed(**given):
        if failures:
            raise failure(failures.pop())
        return real(**given)

    stream.get_records = trimmed
    follower.reach(TIMEOUT)
    assert "second" in follower.take()


def test_shards_that_were_closed_before_the_moment_are_not_read(forced):
    stream, follower = forced(since=EPOCH)
    old, new = EPOCH - dt.timedelta(hours=5), EPOCH + dt.timedelta(hours=1)
    for name, parent, closed in (("a", "", True), ("b", "a", True), ("c", "b", False)):
        stream.shard(name, parent)
        stream.shards[name]["closed"] = closed
    stream.write("a", key="a", at=old)
    stream.write("b", key="b", at=old)
    stream.write("c", key="c", at=new)
    follower.reach(TIMEOUT)
    assert "a" not in stream.log
    assert set(follower.take()) == {"c"}
