"""A legacy transaction from before a delete inserts the key after a rollback: later switches end, and lose nothing."""

from __future__ import annotations

import pytest
from writes_world import ENTITY, LEGACY, first_name, stands, switch, until, write

from runbook.aws.http import path
from runbook.cutover.command import Scope
from runbook.cutover.steps import Choices
from runbook.quarantine.store import EntryStore
from runbook.verify import run as verify

SHORT = Choices(propagation_wait=0.0, warm=0, timeout=20.0, reads_stay=True)


@pytest.mark.parametrize("level", ["REPEATABLE READ", pytest.param("READ COMMITTED", marks=pytest.mark.long)])
def test_a_rollback_ends_after_an_old_snapshot_has_inserted_a_deleted_key_again(live, chefs, sandbox, level):
    legacy = live.target.mapping[ENTITY].legacy
    key = write(live, "first")
    until(lambda: first_name(live, "dynamo", key) == "first")
    with sandbox.database.connect(database=legacy.database) as client, client.cursor() as cursor:
        # MariaDB alone has the variable, and alone runs what is in the comment
        cursor.execute("SET SESSION /*M! innodb_snapshot_isolation = OFF, */ innodb_lock_wait_timeout = 50")
        cursor.execute(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
        client.begin()
        cursor.execute(f"SELECT COUNT(*) FROM {legacy.table}")
        switch(live, "cutover", choices=SHORT).execute()
        write(live, "modern", key)
        assert live.api.request("DELETE", path(ENTITY, key)).status == 204
        switch(live, "rollback", choices=SHORT).execute()
        cursor.execute(f"INSERT INTO {legacy.table} ({legacy.key}, cheffirst) VALUES ({key}, 'again')")
        client.commit()
    until(lambda: first_name(live, "dynamo", key) == "again")
    switch(live, "cutover", choices=SHORT).execute()
    assert switch(live, "rollback", Scope.BOTH, SHORT).execute().changed
    assert stands(live) == LEGACY
    assert [first_name(live, system, key) for system in ("aurora", "dynamo")] == ["again", "again"]
    assert not EntryStore(live, chefs).entries()
    assert verify.run(live, chefs, verify.VerifyOptions()).clean
