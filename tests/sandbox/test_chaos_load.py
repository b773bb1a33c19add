"""The load sends at its rate, records each answer as it was, and its clients sign as AWS wants it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.load import History
from sandbox.load.client import Client, Endpoint
from sandbox.load.dialect import OwnDialect
from sandbox.load.records import DELETE, GET, LIST, MAYBE, NOTHING, POST, PUT, TORN, Attempt, read, write
from sandbox.load.workers import Ground, Keys, Reader, Shape, Writer


class Answers(BaseHTTPRequestHandler):
    """Answers what the test queued, else by the verb; remembers what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.asked.append((self.command, self.path, self.rfile.read(length), dict(self.headers)))
        status, body, headers = self.server.queued.pop(0) if self.server.queued else self._usual()
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815  # the base class's names

    def _usual(self):
        number = len(self.server.asked)
        return {
            "POST": (201, {"id": f"new-{number}"}, {}),
            "PUT": (200, {}, {}),
            "DELETE": (204, None, {}),
            "GET": (200, {"items": []} if "?" in self.path else {"first": "a", "last": "a last"}, {}),
        }[self.command]

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    found = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    found.asked, found.queued = [], []
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


@pytest.fixture
def ground(server):
    attempts = []
    url = f"http://127.0.0.1:{server.server_port}/prod"
    found = Ground(
        endpoint=Endpoint(url, "eu-central-1"),
        dialect=OwnDialect("chefs"),
        shape=Shape("chefs", ("first", "last"), "load-"),
        keys=Keys(["1"]),
        over=threading.Event(),
        note=attempts.append,
        seed=1,
    )
    return found, attempts


def unavailable(outcome):
    return 503, {"error": "unavailable", "outcome": outcome}, {"Retry-After": "0"}


def attempt(kind=PUT, status=200, outcome="", operation=1, begun=0.0, ended=1.0):  # noqa: PLR0913, PLR0917
    return Attempt(1, operation, kind, "k", "v", begun, ended, status, outcome)


@pytest.mark.parametrize(
    ("path", "query", "token"),
    [("/chefs", "", ""), ("/chefs/a%2Fb%20c", "limit=3", ""), ("/chefs", "limit=1", "a token")],
)
def test_the_signature_holds_for_the_request_that_arrives(server, path, query, token):
    url = f"http://127.0.0.1:{server.server_port}/prod"
    endpoint = Endpoint(url, "eu-central-1", ("AKIA", "secret", token or None))
    Client(endpoint).send("PUT", path, query, {"first": "Anä"})
    _, asked, body, sent = server.asked[0]
    headers = {name.lower(): value for name, value in sent.items()}
    request = AWSRequest("PUT", f"http://127.0.0.1:{server.server_port}{asked}", data=body)
    request.headers["host"] = headers["host"]
    request.headers["content-type"] = headers["content-type"]
    signer = SigV4Auth(Credentials("AKIA", "secret", token or None), "execute-api", "eu-central-1")
    request.context["timestamp"] = headers["x-amz-date"]  # what is signed is what arrived
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert headers["authorization"].endswith(signature)


def test_a_documented_503_is_tried_again_with_a_value_of_its_own(server, ground):
    shared, attempts = ground
    server.queued += [unavailable(NOTHING), unavailable(MAYBE)]
    Writer(shared, 0, 1.0).act()
    assert [(one.status, one.outcome) for one in attempts] == [(503, NOTHING), (503, MAYBE), (201, "")]
    assert len({one.value for one in attempts}) == 3
    assert [one.maybe for one in attempts] == [False, True, False]
    assert len({one.operation for one in attempts}) == 1
    assert not any(one.failed for one in attempts)


@pytest.mark.parametrize("status", [400, 403, 409, 429, 500, 502, 504])
def test_any_other_error_is_a_failure_and_is_not_tried_again(server, ground, status):
    shared, attempts = ground
    server.queued.append((status, {"message": "no"}, {}))
    Writer(shared, 0, 1.0).act()
    assert [(one.status, one.failed, one.outcome) for one in attempts] == [(status, True, "no")]


def test_a_503_that_says_nothing_of_its_outcome_is_a_failure(server, ground):
    shared, attempts = ground
    server.queued.append((503, {"message": "Service Unavailable"}, {}))
    Writer(shared, 0, 1.0).act()
    assert attempts[0].failed
    assert attempts[0].maybe


def test_no_answer_is_a_failure_that_may_have_written(server, ground):
    shared, attempts = ground
    server.shutdown()
    server.server_close()
    Writer(shared, 0, 1.0).act()
    assert (attempts[0].status, attempts[0].failed, attempts[0].maybe) == (0, True, True)


def test_writers_write_what_they_own_only(server, ground):
    shared, attempts = ground
    first, second = Writer(shared, 0, 1.0, ["a", "b"]), Writer(shared, 1, 1.0, ["c", "d"])
    for _ in range(40):
        first.act()
        second.act()
    owners: dict[str, set[int]] = {}
    for one in attempts:
        owners.setdefault(one.key, set()).add(one.client)
    assert all(len(found) == 1 for found in owners.values())
    assert {one.kind for one in attempts} == {POST, PUT, DELETE}


def test_a_deleted_key_is_not_written_again(server, ground):
    shared, attempts = ground
    writer = Writer(shared, 0, 1.0, ["a", "b", "c", "d"])
    for _ in range(60):
        writer.act()
    gone = set()
    for one in attempts:
        assert one.key not in gone
        gone |= {one.key} if one.kind == DELETE else set()


def test_a_read_of_fields_from_two_writes_is_torn(server, ground):
    shared, attempts = ground
    server.queued.append((200, {"id": "1", "first": "load-1", "last": "load-2 last"}, {}))
    reader = Reader(shared, 0, 1.0)
    reader.attempt(GET, "1")
    reader.attempt(GET, "1")
    assert [(one.value, one.outcome, one.failed) for one in attempts] == [("load-1", TORN, True), ("a", "", False)]


def test_a_wait_lasts_from_the_first_attempt_to_the_final_answer():
    tried = [
        attempt(status=503, outcome=NOTHING, begun=1.0, ended=2.0),
        attempt(begun=4.0, ended=4.5),
        attempt(GET, begun=4.0, ended=4.2, operation=2),
    ]
    waits = History(tried).waits()
    assert (waits.write, waits.retried, waits.failed) == ([3.5], 1, 0)
    assert waits.longest == 3.5


def test_a_window_has_what_was_under_way_in_it():
    tried = [attempt(operation=n, begun=float(n), ended=n + 0.5) for n in range(6)]
    history = History(tried, [(0.9, "first"), (2.7, "second"), (4.0, "between")])
    assert {name: waits.writes for name, waits in history.windows()} == {"first": 2, "second": 2, "between": 2}
    with pytest.raises(KeyError):
        history.window("third")


def test_a_history_outlives_its_process(tmp_path):
    tried = [attempt(), attempt(LIST, 0, "TimeoutError: Ünicode")]
    write(tmp_path / "history", tried)
    assert read(tmp_path / "history") == tried


def test_readers_prefer_what_was_just_written():
    keys = Keys([str(number) for number in range(1000)])
    keys.written("fresh", new=True)
    rng = __import__("random").Random(1)
    seen = Counter(keys.any(rng) for _ in range(200))
    assert seen["fresh"] > 50
    assert len(seen) > 50
