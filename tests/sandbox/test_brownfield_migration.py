"""The whole migration of a shop that exists, under load, and back to how it was: what `make demo BROWNFIELD=1` runs."""

from __future__ import annotations

import os
import shutil

import pytest

from sandbox import lifecycle
from sandbox.brownfield import bringing_up
from sandbox.brownfield_demo import BrownfieldDemo

ROWS = 400
WINDOWS = {"adopt", "adopt undo", "cutover writes", "rollback", "cutover writes again", "complete"}


@pytest.fixture(scope="module", params=["direct", "replay"])
def result(request):
    name, replay = f"test-{os.getpid()}-{request.param}", request.param == "replay"
    try:
        shop = bringing_up.shop(name, ROWS, javascript=shutil.which("node") is not None)
        sandbox = bringing_up.deploy(name, current=False, replay=replay)
        yield BrownfieldDemo(sandbox, shop, count=ROWS, replay=replay).run()
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
