"""Calls that take minutes, as copy's do: many at a time beside the rest, and a worker that dies frees its place."""

from __future__ import annotations

import json
import os
import signal

import pytest
from emulator_parts import until

CODE = """
import os, pathlib, time
def handler(event, context):
    if event.get("short"):
        return "short"
    folder = pathlib.Path(os.environ["FOLDER"])
    (folder / str(os.getpid())).touch()
    while not (folder / "over").exists():
        time.sleep(0.02)
"""
LONG = 12


class Calls:
    """A function whose calls last until `end`; they leave their processes' ids in a folder."""

    def __init__(self, parts, folder):
        self.client, self.folder = parts.clients["lambda"], folder
        self.name = parts.function(CODE, FOLDER=str(folder)).rpartition(":")[2]
        self.client.update_function_configuration(FunctionName=self.name, Timeout=300)

    def start(self):
        self.client.invoke(FunctionName=self.name, InvocationType="Event", Payload=b"{}")

    def short(self):
        """What a short call answers; None when it is refused for want of room."""
        try:
            answer = self.client.invoke(FunctionName=self.name, Payload=b'{"short": true}')
        except self.client.exceptions.TooManyRequestsException:
            return None
        return json.loads(answer["Payload"].read())

    def running(self):
        return [int(each.name) for each in self.folder.iterdir() if each.name.isdigit()]

    def end(self):
        (self.folder / "over").touch()


@pytest.fixture
def calls(parts, tmp_path):
    made = Calls(parts, tmp_path)
    yield made
    made.end()


def test_a_dozen_long_calls_of_one_function_run_at_once_and_hinder_no_other(calls):
    for _ in range(LONG):
        calls.start()
    until(lambda: len(calls.running()) == LONG)
    assert calls.short() == "short"


def test_a_worker_that_is_killed_frees_the_place_it_had(calls):
    calls.client.put_function_event_invoke_config(FunctionName=calls.name, MaximumRetryAttempts=0)
    calls.client.put_function_concurrency(FunctionName=calls.name, ReservedConcurrentExecutions=1)
    calls.start()
    (worker,) = until(calls.running)
    assert calls.short() is None
    os.kill(worker, signal.SIGKILL)
    assert until(calls.short) == "short"


def test_an_asynchronous_call_whose_worker_is_killed_is_made_again(calls):
    calls.start()
    (worker,) = until(calls.running)
    os.kill(worker, signal.SIGKILL)
    assert len(until(lambda: len(found := calls.running()) == 2 and found)) == 2
