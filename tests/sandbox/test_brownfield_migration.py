"""The whole migration of a shop that exists, under load, and back to how it was: what `make demo BROWNFIELD=1` runs."""

from __future__ import annotations

import os
import shutil

import pytest

from sandbox import lifecycle
from sandbox.brownfield import bringing_up
from sandbox.brownfield.database import Rds
from sandbox.brownfield_demo import BrownfieldDemo

ROWS = 400
WINDOWS = {"adopt", "adopt undo", "cutover writes", "rollback", "cutover writes again", "complete"}


WORLDS = {  # how the bridge writes, and the kind of the shop's database
    "direct": ("direct", Rds.SERVERLESS),
    "replay": ("replay", Rds.SERVERLESS),
    "instance": ("direct", Rds.INSTANCE),
    "provisioned": ("replay", Rds.PROVISIONED),
}


@pytest.fixture(scope="module", params=WORLDS)
def result(request):
    name, (bridge, rds) = f"test-{os.getpid()}-{request.param}", WORLDS[request.param]
    javascript = rds.has_data_api and shutil.which("node") is not None
    try:
        shop = bringing_up.shop(name, ROWS, rds=rds, javascript=javascript)
        sandbox = bringing_up.deploy(name, current=False, replay=bridge == "replay")
        yield BrownfieldDemo(sandbox, shop, count=ROWS, replay=bridge == "replay").run()
    finally:
        lifecycle.down(name)


@pytest.mark.long
def test_no_request_fails_and_no_write_is_lost(result):
    assert not result.failed, result.history.failures[:3]
    assert not [str(each) for each in result.broken]


@pytest.mark.long
def test_clients_wrote_in_every_step(result):
    answered = {name: waits.writes for name, waits in result.windows}
    assert set(answered) >= WINDOWS
    assert all(answered[name] for name in WINDOWS)


@pytest.mark.long
def test_both_sides_are_equal_before_complete(result):
    assert not result.different
    assert result.equal > ROWS // 2


@pytest.mark.long
def test_every_artefact_of_the_shop_is_as_before(result):
    assert not result.changed


@pytest.mark.long
def test_with_replay_the_shops_own_function_has_brought_every_write(result):
    """Its audit has what clients wrote while modern was the source of truth."""
    assert not result.unaudited
