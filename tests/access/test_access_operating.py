"""A whole migration and the way back under exactly the operator's policies, with IAM enforced; reading under fewer."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path

import pytest
from afresh import AT_ONCE
from typer.testing import CliRunner
from used import recorded

from components.access_policies import of
from components.operating import ACTING, READING
from components.rights import LONGEST, StackNames, size
from runbook.commands.cli import app
from sandbox import fill, lifecycle

ROOT = Path(__file__).parents[2]
FAST = ("--settle", "0", "--warm", "1")
MIGRATION = (
    ("init", "--create-tables"),
    ("smoke",),
    ("preflight",),
    ("copy", "start", "--by", "ranges", "--rate", "1"),
    ("copy", "stop"),
    ("copy", "start"),
    ("copy", "set", "--rate", "0"),
    ("copy", "status"),
    ("copy", "watch"),
    ("copy", "stop"),
    ("copy", "start"),
    ("copy", "watch"),
    ("verify",),
    ("cutover", "reads", "--percent", "20", "--watch", "2", "--execute"),
    ("cutover", "reads", "--watch", "0", "--execute"),
    ("cutover", "writes", "--execute", *FAST),
    ("rollback", "--fence-modern", "--hold", "15", "--execute", *FAST),
    ("cutover", "reads", "--watch", "0", "--execute"),
    ("cutover", "writes", "--execute", *FAST),
    ("complete", "--execute"),
)
BY_RANGES = MIGRATION.index(("copy", "stop"))
HALF = MIGRATION.index(("verify",)) + 1
# What this migration does not call: where it is called, or what asks for it.
ELSEWHERE = {
    "execute-api:Invoke": ("runbook/aws/http.py", "SigV4Auth"),  # `smoke`'s requests, which are no calls of boto3
    "iam:PassRole": ("runbook/aws/schedules.py", "update_schedule"),  # which hands the schedule's role on
    "secretsmanager:GetSecretValue": ("functions/aws/data_api.py", "secretArn"),  # the Data API asks for it
    "rds-data:BeginTransaction": ("functions/aws/data_api.py", "begin_transaction"),
    "rds-data:CommitTransaction": ("functions/aws/data_api.py", "commit_transaction"),
    "rds-data:RollbackTransaction": ("functions/aws/data_api.py", "rollback_transaction"),
    "s3:GetObject": ("runbook/aws/failure_bucket.py", "get_object"),
    "s3:PutObject": ("runbook/aws/failure_bucket.py", "put_object"),
    "s3:DeleteObject": ("runbook/aws/failure_bucket.py", "delete_object"),
}
LOOKING = (("status",), ("preflight",), ("copy", "status"), ("quarantine", "list"), ("history",))


@pytest.fixture(scope="module")
def system():
    name = f"test-{os.getpid()}-operate"
    try:
        yield lifecycle.up(name, AT_ONCE, current=False)
    finally:
        lifecycle.down(name)


@pytest.fixture(scope="module")
def runbook(system, as_user, tmp_path_factory):
    """Runs a command as a user with a role's policies; the actions used."""
    saved, users = tmp_path_factory.mktemp("outputs") / "outputs.json", {}

    def run(role, *words):
        if role not in users:
            users[role] = as_user(system.outputs["endpointUrl"], role)
        key, secret = users[role]
        saved.write_text(json.dumps({**system.outputs, "accessKeyId": key, "secretAccessKey": secret}))
        with recorded() as used:
            done = CliRunner().invoke(app, [*words, "--outputs", str(saved)], env={"COLUMNS": "200"})
        assert "not authorized" not in done.output + str(done.exception), (words, done.output, done.exception)
        assert done.exit_code == 0, (words, done.output)
        return used

    return run


@contextlib.contextmanager
def halted(functions, name):
    """Within it an execution waits for its next step, and does not end by itself."""
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        functions.delete_function_concurrency(FunctionName=name)


def granted(rights):
    return {action for each in rights for action in each.actions.split()}


@pytest.mark.long
def test_the_operator_migrates_and_rolls_back_with_these_rights_and_needs_each(system, runbook):
    used = runbook("operate", *MIGRATION[0])
    fill.fill(system, 50)
    for words in MIGRATION[1:BY_RANGES]:
        used |= runbook("operate", *words)
    looked = runbook("read", "copy", "status")
    with halted(system.client("lambda"), system.outputs["copyFunction"]):
        used |= runbook("operate", *MIGRATION[BY_RANGES])
    for words in MIGRATION[BY_RANGES + 1 : HALF]:
        used |= runbook("operate", *words)
    looked = looked.union(*(runbook("read", *words) for words in LOOKING))
    assert looked == granted(READING) - ELSEWHERE.keys()
    for words in MIGRATION[HALF:]:
        used |= runbook("operate", *words)
    assert used - granted((*READING, *ACTING)) == set()
    assert granted((*READING, *ACTING)) - used - looked == ELSEWHERE.keys()


@pytest.mark.parametrize("action", ELSEWHERE)
def test_what_that_migration_does_not_need_is_needed_where_it_says(action):
    file, text = ELSEWHERE[action]
    assert text in (ROOT / file).read_text()


def test_who_only_looks_changes_neither_routes_nor_items():
    assert not [
        action for action in granted(READING) if re.search(r":(PATCH|Put|Update|Delete|BatchWrite|Invoke)", action)
    ]


def test_every_policy_fits():
    named = StackNames(stack="a-name-of-20-letters", account="1" * 12, region="ap-southeast-2", tables=["chef"] * 3)
    for role in ("operate", "read", "boundary"):
        assert [size(each) for each in of(role, named) if size(each) > LONGEST] == []
