"""Calls are late where the sandbox is asked for it, and nowhere else."""

from __future__ import annotations

import asyncio
import statistics

import pytest

from sandbox import kinds, state
from sandbox.emulator.behaviour import latency
from sandbox.emulator.behaviour.latency import INVOKE_SECONDS, MEDIAN_SECONDS, Latency
from sandbox.errors import SandboxError
from sandbox.state import Folder

SIGNED = b"AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/%s/aws4_request, SignedHeaders=host, Signature=0"


class Slept:
    """Stands in for the clock: keeps for how long was slept."""

    def __init__(self, monkeypatch):
        self.seconds = []
        monkeypatch.setattr(latency.asyncio, "sleep", self._later)
        monkeypatch.setattr(latency.time, "sleep", self.seconds.append)

    async def _later(self, seconds):
        self.seconds.append(seconds)


@pytest.fixture
def slept(monkeypatch):
    return Slept(monkeypatch)


def serve(service, profile, kind="http"):
    """Whether the application got the request."""
    reached = []

    async def application(scope, receive, send):
        reached.append(scope)

    headers = [(b"host", b"localhost"), (b"authorization", SIGNED % service)] if service else []
    scope = {"type": kind, "path": "/", "headers": headers}
    asyncio.run(latency.wrapped(application, profile)(scope, None, None))
    return len(reached) == 1


def test_without_a_latency_no_request_is_late(slept):
    assert serve(b"rds-data", Latency.NONE)
    assert slept.seconds == []


@pytest.mark.parametrize("service", list(MEDIAN_SECONDS))
def test_with_that_of_aws_a_request_to_the_data_api_or_dynamodb_is_late(slept, service):
    assert serve(service, Latency.AWS)
    assert slept.seconds[0] > 0


@pytest.mark.parametrize("service", [b"s3", b"lambda", b""])
def test_requests_to_others_are_not(slept, service):
    assert serve(service, Latency.AWS)
    assert slept.seconds == [0.0]


def test_what_is_no_request_is_not(slept):
    assert serve(b"", Latency.AWS, kind="lifespan")
    assert slept.seconds == []


def test_the_delay_varies_about_its_median():
    drawn = [latency.delay(b"rds-data") for _ in range(2000)]
    assert statistics.median(drawn) == pytest.approx(MEDIAN_SECONDS[b"rds-data"], rel=0.1)
    assert min(drawn) > 0
    assert len(set(drawn)) > 1000


def test_an_invocation_begins_later_and_answers_the_same(slept):
    late = latency._late(lambda *arguments: arguments)
    assert late("function", {}, "request") == ("function", {}, "request")
    assert INVOKE_SECONDS[0] <= slept.seconds[0] <= INVOKE_SECONDS[1]


def test_the_environment_chooses_that_of_a_new_sandbox(monkeypatch):
    monkeypatch.delenv(latency.VARIABLE, raising=False)
    assert latency.default() == Latency.NONE
    monkeypatch.setenv(latency.VARIABLE, "aws")
    assert latency.default() == Latency.AWS
    monkeypatch.setenv(latency.VARIABLE, "mars")
    with pytest.raises(SandboxError, match="none or aws"):
        latency.default()


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "one")
    made.path.mkdir()
    return made


def test_a_sandbox_keeps_the_latency_that_it_has(folder, monkeypatch):
    monkeypatch.delenv(latency.VARIABLE, raising=False)
    assert kinds._latency(folder, None) == Latency.NONE
    state.write_json(folder.settings, {"latency": "aws"})
    assert kinds._latency(folder, None) == Latency.AWS
    assert kinds._latency(folder, Latency.NONE) == Latency.NONE


def test_one_that_is_up_is_not_changed(folder, monkeypatch):
    state.write_json(folder.settings, {"latency": "aws"})
    monkeypatch.setattr(Folder, "daemon", lambda _: object())
    with pytest.raises(SandboxError, match="sandbox down"):
        kinds._latency(folder, Latency.NONE)
