"""A call whose caller gets no answer takes effect at once, or late; on a server of its own, without MiniStack."""

from __future__ import annotations

import http.client
import json
import threading
import time

import pytest
import uvicorn

from sandbox.emulator.behaviour import unsure_calls

TIMEOUT = 10.0


class Counting:
    """An application that keeps the bodies that it was sent."""

    def __init__(self):
        self.bodies = []

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            self.bodies.append((await receive())["body"])
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def application():
    return Counting()


@pytest.fixture
def port(application):
    config = uvicorn.Config(unsure_calls.wrapped(application), port=0, lifespan="off", log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def until(holds):
    deadline = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def send(port, body, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    connection.request("POST", path, body)
    return connection.getresponse().read()


def asked(port, **wanted):
    return json.loads(send(port, json.dumps({"name": "one", **wanted}), unsure_calls.PATH))


def rule(port, **wanted):
    return asked(port, **wanted)["hit"]


def test_without_a_rule_every_call_is_answered(port, application):
    assert send(port, "first") == b"ok"
    assert application.bodies == [b"first"]


def test_a_lost_answer_has_its_effect_at_once(port, application):
    rule(port, pattern="second", seconds=TIMEOUT)
    assert send(port, "first") == b"ok"
    with pytest.raises(ConnectionError):
        send(port, "second")
    assert application.bodies == [b"first", b"second"]
    assert rule(port) == 1


def test_a_late_call_has_its_effect_after_its_caller_gave_up(port, application):
    rule(port, pattern="late", seconds=TIMEOUT, late=0.5)
    with pytest.raises(ConnectionError):
        send(port, "late")
    assert application.bodies == []
    assert asked(port)["waiting"] == 1
    until(lambda: application.bodies == [b"late"])
    until(lambda: asked(port)["waiting"] == 0)


def test_only_so_many_calls_are_hit(port, application):
    rule(port, pattern=".", seconds=TIMEOUT, calls=2)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            send(port, "lost")
    assert send(port, "answered") == b"ok"
    assert rule(port) == 2


def test_after_its_time_no_call_is_hit(port):
    rule(port, pattern=".", seconds=0)
    assert send(port, "answered") == b"ok"
