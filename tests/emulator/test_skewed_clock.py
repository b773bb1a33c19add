"""A process whose clock is moved sees it in every way that Python has, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from sandbox.emulator.behaviour import skewed_clock

SHOW = """
import runpy, sys
runpy.run_path(sys.argv[1])["move_by_environment"]()
import datetime as dt, json, time
from datetime import UTC, datetime
plain = datetime(2020, 1, 1, tzinfo=UTC) - dt.timedelta(1)
print(json.dumps({
    "time": time.time(),
    "nanoseconds": time.time_ns() / 10**9,
    "now": datetime.now(UTC).timestamp(),
    "utcnow": dt.datetime.utcnow().replace(tzinfo=UTC).timestamp(),
    "fixed": datetime.fromtimestamp(5, UTC).timestamp(),
    "instance": isinstance(plain, datetime) and isinstance(datetime.now(UTC), dt.datetime),
    "compares": plain < datetime.now(UTC),
}))
"""


@pytest.mark.parametrize("seconds", [-300.0, 0.0, 300.0])
def test_every_clock_of_the_process_is_moved(seconds):
    began = time.time()
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SHOW, skewed_clock.__file__],
        env={**os.environ, skewed_clock.VARIABLE: str(seconds)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(shown.stdout)
    for name in ("time", "nanoseconds", "now", "utcnow"):
        assert began + seconds <= found[name] <= time.time() + seconds, name
    assert found["fixed"] == 5.0
    assert found["instance"]
    assert found["compares"]
