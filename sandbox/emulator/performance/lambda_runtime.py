"""Lambda's Python runtime: failures with their type and trace, logs that arrive, no wait for them.

On AWS a function that raises answers `errorType`, `errorMessage` and `stackTrace`, and what it logs is in its log
group. MiniStack answers the text of the exception, waits 50 ms after each call for log lines, and its worker's root
logger has no handler. This file can go when the worker marks the end of a call's log and reports exceptions whole.
"""
# pyright: basic

import queue
import time
from typing import Any

from ministack.core import lambda_runtime as runtime
from ministack.services import lambda_svc as functions

from sandbox.emulator.patching import check_version, wrap
from sandbox.errors import SandboxError

END = "\x1eEND-OF-CALL"
MARK = "__raised__"
LOG_TIMEOUT = 0.25  # seconds to wait for the mark that a dying worker never writes

# The worker's own text, to the letter.
RAISED_STOCK = """        except Exception as e:
            _real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\\n")
        _real_stdout.flush()

run()"""  # noqa: E501  # the worker's line
RAISED = """        except Exception as e:
            sys.stderr.write("[ERROR] %s: %s\\n%s" % (type(e).__name__, e, traceback.format_exc()))
            _real_stdout.write(json.dumps({"status": "ok", "result": {"__raised__": {
                "errorMessage": str(e), "errorType": type(e).__name__, "requestId": _ms_ctx.get("request_id", ""),
                "stackTrace": traceback.format_tb(e.__traceback__)[1:]}}}) + "\\n")
        sys.stderr.write("\\n\\x1eEND-OF-CALL\\n"); sys.stderr.flush()
        _real_stdout.flush()

run()"""
IMPORT_STOCK = """    try:
        mod = importlib.import_module(module_name)"""
# What a function logs goes to its standard error. (A worker ends by itself when the emulator is gone: its input ends.)
BEFORE_IMPORT = """    import logging as _logging
    _handler = _logging.StreamHandler(sys.stderr)
    _handler.setFormatter(_logging.Formatter(
        "[%(levelname)s]\\t%(asctime)s.%(msecs)03dZ\\t%(message)s", "%Y-%m-%dT%H:%M:%S"))
    _logging.getLogger().addHandler(_handler)
"""


def install() -> None:
    check_version("performance/lambda_runtime")
    script = _replaced(runtime._PYTHON_WORKER_SCRIPT, RAISED_STOCK, RAISED)
    runtime._PYTHON_WORKER_SCRIPT = _replaced(script, IMPORT_STOCK, BEFORE_IMPORT + IMPORT_STOCK)
    wrap(runtime.Worker, "_drain_stderr_bounded", _draining)
    wrap(functions, "_execute_function_warm", _reporting)


def _replaced(script: str, old: str, new: str) -> str:
    if script.count(old) != 1:
        raise SandboxError(
            "sandbox/emulator/performance/lambda_runtime.py: MiniStack's worker is not the one it was written for"
        )
    return script.replace(old, new)


def _draining(stock: Any) -> Any:
    def drain(self: Any, *more: Any, **named: Any) -> str:
        if not self.config.get("Runtime", "").startswith("python"):
            return stock(self, *more, **named)
        lines, deadline = [], time.monotonic() + LOG_TIMEOUT
        while True:
            try:
                line = self._stderr_queue.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if line == END:
                break
            lines.append(line)
        return "\n".join(lines).rstrip("\n")

    return drain


def _reporting(stock: Any) -> Any:
    def execute(function: Any, event: Any, request: str) -> Any:
        answer = stock(function, event, request)
        body = answer.get("body")
        if isinstance(body, dict) and MARK in body:
            return {**answer, "body": body[MARK], "error": True}
        return answer

    return execute
