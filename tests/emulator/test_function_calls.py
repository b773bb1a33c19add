"""Lambda functions in the sandbox: how they fail, what they log, what is measured."""

from __future__ import annotations

import io
import json
import threading
import zipfile

import pytest
from emulator_parts import until

CODE = """
import json, logging, os, sys, time
calls = 0
def handler(event, context):
    global calls
    calls += 1
    kind = event.get("kind")
    if kind == "raise":
        raise LookupError("no such chef")
    if kind == "exit":
        os._exit(3)
    if kind == "sleep":
        time.sleep(30)
    if kind == "wait":
        open(os.environ["BEGUN"], "w").close()
        while os.path.exists(os.environ["BEGUN"]):
            time.sleep(0.01)
    if kind == "log":
        logging.getLogger().warning("a warning of the logger")
        print("a line of print")
        print(json.dumps({"_aws": {"CloudWatchMetrics": [{"Namespace": os.environ["SPACE"],
            "Dimensions": [["service"]], "Metrics": [{"Name": "Applied", "Unit": "Count"}]}]},
            "service": "x", "Applied": [3, 4]}))
    return {"calls": calls}
"""


class Function:
    def __init__(self, parts):
        self.parts, self.client = parts, parts.clients["lambda"]
        self.space = parts.unique()
        self.name = parts.function(CODE, SPACE=self.space).rpartition(":")[2]

    def call(self, kind=""):
        answer = self.client.invoke(FunctionName=self.name, Payload=json.dumps({"kind": kind}))
        return answer.get("FunctionError"), json.loads(answer["Payload"].read() or "null")

    def update(self, **settings):
        self.client.update_function_configuration(FunctionName=self.name, **settings)
        self._until_updated()

    def replace(self, code):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("index.py", code)
        self.client.update_function_code(FunctionName=self.name, ZipFile=packed.getvalue())
        self._until_updated()

    def _until_updated(self):
        until(
            lambda: self.client.get_function_configuration(FunctionName=self.name)["LastUpdateStatus"] == "Successful"
        )


@pytest.fixture
def function(parts):
    return Function(parts)


def test_a_function_that_raises_answers_type_message_and_trace_and_stays_alive(function):
    assert function.call() == (None, {"calls": 1})
    error, body = function.call("raise")
    assert error
    assert (body["errorType"], body["errorMessage"]) == ("LookupError", "no such chef")
    assert "in handler" in "".join(body["stackTrace"])
    assert function.call() == (None, {"calls": 3})


def test_a_function_whose_process_ends_is_started_again(function):
    assert function.call()[1] == {"calls": 1}
    assert function.call("exit")[0]
    assert function.call() == (None, {"calls": 1})


def test_a_function_that_takes_longer_than_its_timeout_is_ended(function):
    function.client.update_function_configuration(FunctionName=function.name, Timeout=1)
    error, body = function.call("sleep")
    assert error
    assert "timed out" in json.dumps(body)
    assert function.call() == (None, {"calls": 1})


@pytest.mark.parametrize("what", ["code", "settings"])
def test_a_call_that_is_under_way_outlives_an_update_of_its_function(function, tmp_path, what):
    begun = tmp_path / "begun"
    function.update(Environment={"Variables": {"SPACE": "x", "BEGUN": str(begun)}})
    answers = []
    caller = threading.Thread(target=lambda: answers.append(function.call("wait")))
    caller.start()
    until(begun.exists)
    if what == "settings":
        function.update(MemorySize=256)
    else:
        function.replace(CODE.replace("calls += 1", "calls += 10"))
    assert function.call() == (None, {"calls": 1 if what == "settings" else 10})  # by a new worker
    begun.unlink()
    caller.join()
    assert answers == [(None, {"calls": 1})]
    assert function.call()[1] == {"calls": 2 if what == "settings" else 20}  # by that one, not by the old


def test_what_a_function_prints_or_logs_is_in_its_log_group(function, sandbox):
    function.call("log")
    logs = sandbox.client("logs")

    def lines():
        found = logs.filter_log_events(logGroupName=f"/aws/lambda/{function.name}")["events"]
        text = "\n".join(event["message"] for event in found)
        return text if "a line of print" in text else None

    assert "[WARNING]" in until(lines)
    assert "a warning of the logger" in lines()


def test_a_metric_in_the_log_is_recorded(function, parts):
    function.call("log")
    assert until(lambda: parts.total(function.space, "Applied", service="x")) == 7


def test_the_age_of_what_a_mapping_delivers_is_recorded(function, parts):
    table = parts.table(stream=True)
    mapping = parts.clients["lambda"].create_event_source_mapping(
        EventSourceArn=table["LatestStreamArn"], FunctionName=function.name, StartingPosition="TRIM_HORIZON"
    )["UUID"]
    parts.put(table["TableName"], "a")
    place = {"FunctionName": function.name}
    age = until(lambda: parts.total("AWS/Lambda", "IteratorAge", "Maximum", **place) is not None)
    parts.clients["lambda"].delete_event_source_mapping(UUID=mapping)
    assert age
