"""Sandboxes from up to down: side by side, twice, after a crash, emptied, and gone without a trace."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from sandbox import daemon, lifecycle, state
from sandbox.database import product
from sandbox.database.product import Product
from sandbox.engine.state import State
from sandbox.errors import SandboxError
from sandbox.state import Folder

BODY = """
    table = aws.dynamodb.Table("items", name="items", billing_mode="PAY_PER_REQUEST", hash_key="k",
        attributes=[{"name": "k", "type": "S"}], stream_enabled=True, stream_view_type="NEW_IMAGE")
    bucket = aws.s3.Bucket("failures", force_destroy=True)
    aws.s3.BucketPublicAccessBlock("private", bucket=bucket.id, block_public_acls=True)
    logs = aws.cloudwatch.LogGroup("logs")
    pulumi.export("stream", table.stream_arn)
    pulumi.export("bucket", bucket.id)
    pulumi.export("logs", logs.name)
"""


@pytest.fixture
def names():
    given = [f"test-{os.getpid()}-{letter}" for letter in "ab"]
    yield given
    for name in given:
        lifecycle.down(name)


def processes_of(sandbox):
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(sandbox.folder) in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def tables(sandbox):
    return sandbox.client("dynamodb").list_tables()["TableNames"]


def test_two_sandboxes_run_side_by_side_and_share_nothing(programs, names):
    one, two = (lifecycle.up(name, program=programs.write(BODY), current=False) for name in names)
    one.client("dynamodb").put_item(TableName="items", Item={"k": {"S": "only in one"}})
    assert two.client("dynamodb").scan(TableName="items")["Count"] == 0
    one.down()
    assert tables(two) == ["items"]


def test_down_leaves_no_process_and_no_file(programs, names):
    sandbox = lifecycle.up(names[0], program=programs.write(BODY), current=False)
    assert len(processes_of(sandbox)) >= 2
    assert lifecycle.down(names[0])
    assert processes_of(sandbox) == []
    assert not sandbox.folder.exists()
    assert not lifecycle.down(names[0])


def test_a_sandbox_whose_server_was_killed_comes_up_again(programs, names):
    program = programs.write(BODY)
    sandbox = lifecycle.up(names[0], program=program, current=False)
    killed = sandbox.location.daemon()
    os.kill(killed.pid, signal.SIGKILL)
    again = lifecycle.up(names[0], program=program, current=False)
    assert again.location.daemon().pid != killed.pid
    assert tables(again) == ["items"]
    again.down()
    assert processes_of(again) == []


def test_a_database_that_was_killed_comes_back_with_its_rows(programs, names):
    program = programs.write(BODY)
    sandbox = lifecycle.up(names[0], program=program, current=False)
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE kept")
    sandbox.database.kill()
    again = lifecycle.up(names[0], program=program, current=False)
    assert again.location.daemon() == sandbox.location.daemon()
    with again.database.connect() as connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW DATABASES LIKE 'kept'") == 1


@pytest.mark.long
def test_a_sandbox_keeps_the_database_product_that_it_has(programs, names, monkeypatch):
    program = programs.write(BODY)
    sandbox = lifecycle.up(names[0], program=program, current=False)
    has = product.default()
    (other,) = set(Product) - {has}
    monkeypatch.setenv(product.VARIABLE, other)
    again = lifecycle.up(names[0], program=program, current=False)
    assert type(again.database) is type(sandbox.database)
    assert [found.product for found in lifecycle.statuses(names[0])] == [has]
    with pytest.raises(SandboxError, match=f"runs on {has.label}.*sandbox down --name {names[0]}"):
        lifecycle.up(names[0], program=program, database=other, current=False)
    assert again.database.running()


def test_a_database_product_that_does_not_exist_is_refused(monkeypatch):
    monkeypatch.setenv(product.VARIABLE, "oracle")
    with pytest.raises(SandboxError, match="set it to mariadb or mysql"):
        product.default()


@pytest.mark.long
def test_an_up_that_died_half_way_is_begun_afresh(programs, names):
    program = programs.write(BODY)
    sandbox = lifecycle.up(names[0], program=program, current=False)
    left = State.load(sandbox.location.resources)
    lost = next(record for record in left.records if record.id == "items")
    left.remove(lost)
    left.begin(lost.urn)
    assert tables(lifecycle.up(names[0], program=program, current=False)) == ["items"]


def test_a_pid_that_now_belongs_to_another_process_is_left_alone(tmp_path):
    folder = Folder(tmp_path / "x")
    folder.path.mkdir()
    mine = psutil.Process()
    folder.write_daemon(state.Daemon(pid=mine.pid, created=mine.create_time(), port=1))
    assert folder.daemon() is None
    daemon.stop(folder)
    assert mine.is_running()


def test_reset_empties_everything_and_keeps_what_need_not_change(programs, names):
    sandbox = lifecycle.up(names[0], program=programs.write(BODY), current=False)
    sandbox.client("dynamodb").put_item(TableName="items", Item={"k": {"S": "1"}})
    sandbox.client("s3").put_object(Bucket=sandbox.outputs["bucket"], Key="k", Body=b"v")
    with sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE chefdb")
    again = sandbox.reset()
    assert again.client("dynamodb").scan(TableName="items")["Count"] == 0
    assert again.client("s3").list_objects_v2(Bucket=sandbox.outputs["bucket"])["KeyCount"] == 0
    assert again.client("s3").get_public_access_block(Bucket=sandbox.outputs["bucket"])
    assert again.outputs["logs"] == sandbox.outputs["logs"]
    assert again.outputs["stream"] != sandbox.outputs["stream"]
    with again.database.connect() as connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW DATABASES LIKE 'chefdb'") == 0


def test_a_sandbox_that_another_process_is_changing_is_refused(names):
    with Folder.of(names[0]).locked(), pytest.raises(SandboxError, match="Another process is changing"):
        lifecycle.up(names[0], current=False)


@pytest.mark.long
def test_several_may_remove_what_a_killed_run_has_left(names):
    def remove():
        with contextlib.suppress(SandboxError):  # another one is at it
            lifecycle.down(names[0])

    for _ in range(10):
        folder = Folder.of(names[0])
        for number in range(300):
            (folder.path / str(number)).mkdir(parents=True)
        (folder.path / "lock").touch()
        with ThreadPoolExecutor(4) as pool:
            for each in [pool.submit(remove) for _ in range(8)]:
                each.result()
        assert not folder.path.exists()


def test_a_folder_that_is_removed_while_its_lock_is_opened_is_made_anew(tmp_path, monkeypatch):
    folder, opened, removed = Folder(tmp_path / "one"), Path.open, []

    def late(path, *mode):
        if not removed:
            removed.append(shutil.rmtree(folder.path))
        return opened(path, *mode)

    monkeypatch.setattr(Path, "open", late)
    with folder.locked():
        assert (folder.path / "lock").exists()
    assert removed


def test_the_folder_of_the_databases_programs_is_no_sandbox(tmp_path):
    for folder in ("cache", "real"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "lock").touch()
    assert state.names(tmp_path) == ["real"]
    with pytest.raises(SandboxError, match="not 'cache'"):
        state.Folder.of("cache", tmp_path)


def test_a_name_that_could_leave_the_folder_is_refused():
    with pytest.raises(SandboxError, match="cannot name a sandbox"):
        lifecycle.up("../elsewhere")


def test_only_a_current_sandbox_is_the_runbooks_default(programs, names, monkeypatch, tmp_path):
    boxes = tmp_path / "boxes"
    boxes.mkdir()
    (boxes / state.CACHE).symlink_to(state.default_root() / state.CACHE)
    monkeypatch.setenv("STREAMBACK_SANDBOXES", str(boxes))
    lifecycle.up(names[0], program=programs.write(BODY))
    lifecycle.up(names[1], program=programs.write(BODY), current=False)
    assert state.current() == names[0]
    lifecycle.down(names[0])
    assert state.current() == ""
    lifecycle.down(names[1])
