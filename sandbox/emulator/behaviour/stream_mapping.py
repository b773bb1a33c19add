"""Stream mappings that fail as AWS's do.

On AWS a mapping delivers a DynamoDB stream in order per key, several keys at a time, retries a failed batch until it
succeeds, is too old or was tried too often, halves it if asked to, honours partial failures, and puts what
it dead-letters whole into S3.
MiniStack takes a partial failure for success and moves on, and knows neither retries nor bisecting nor
parallelisation. This file can go when it does.
"""
# pyright: basic

import contextvars
import json
import os
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ministack.core.responses import _request_account_id, _request_region
from ministack.services import dynamodb as tables
from ministack.services import lambda_svc as functions

from sandbox.emulator.behaviour import on_failure
from sandbox.emulator.patching import check_version

IDLE = 0.02  # seconds between two looks at a stream in which nothing new was
INTERVAL = float(os.environ.get("STREAMBACK_STREAM_INTERVAL") or 0.25)  # seconds between two others: Lambda's base rate
FIRST_DELAY, LONGEST_DELAY = 0.25, 10.0  # seconds between two tries
FOR_EVER = -1

Record = dict[str, Any]
Mapping = dict[str, Any]


def install() -> None:
    check_version("behaviour/stream_mapping")
    functions._poll_dynamodb_streams = Pollers().poll


class Pollers:
    def __init__(self) -> None:
        self._threads: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()

    def poll(self) -> bool:
        """Start a thread for each mapping that has none; MiniStack calls this again and again."""
        for account, region, mapping in functions._iter_all_esms():
            if ":dynamodb:" in mapping.get("EventSourceArn", "") and mapping.get("Enabled", True):
                self._ensure(account, region, mapping)
        return False

    def _ensure(self, account: str, region: str, mapping: Mapping) -> None:
        with self._lock:
            thread = self._threads.get(mapping["UUID"])
            if thread and thread.is_alive():
                return
            thread = threading.Thread(target=_run, args=(account, region, mapping), daemon=True)
            self._threads[mapping["UUID"]] = thread
            thread.start()


def _run(account: str, region: str, mapping: Mapping) -> None:
    _request_account_id.set(account)
    _request_region.set(region)
    Stream(mapping).follow()


class Stream:
    """Follows one stream for one mapping; the position moves when every record up to it is dealt with."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._arn = mapping["EventSourceArn"]
        self._table = self._arn.split("/stream/")[0].split("/")[-1]

    def follow(self) -> None:
        """Deliver until the mapping is paused or gone, or its stream is."""
        while self._live():
            table = tables._tables.get(self._table)
            if not table or table.get("LatestStreamArn") != self._arn:
                return
            position, records = self._gather()
            if not records:
                time.sleep(IDLE)
                continue
            looked = time.monotonic()
            if not self._deliver(functions._apply_filter_criteria(list(records), self._mapping)):
                return  # paused within a batch: it is delivered again
            functions._dynamodb_stream_positions[self._mapping["UUID"]] = position + len(records)
            time.sleep(max(0.0, looked + INTERVAL - time.monotonic()))

    def _live(self) -> bool:
        return functions._esms.get(self._mapping["UUID"]) is self._mapping and self._mapping.get("Enabled", True)

    def _gather(self) -> tuple[int, list[Record]]:
        """Records from the position on: a batch for every lane, or what came within the window."""
        stored = functions._dynamodb_stream_positions.get(self._mapping["UUID"], 0)
        position = max(stored, tables.stream_start_position(self._table))
        size, window = self._size(), float(self._mapping.get("MaximumBatchingWindowInSeconds") or 0)
        records = tables.stream_records_since(self._table, position, size * self._lanes())
        deadline = time.monotonic() + window
        while records and len(records) < size and time.monotonic() < deadline and self._live():
            time.sleep(IDLE)
            records = tables.stream_records_since(self._table, position, size * self._lanes())
        return position, records

    def _size(self) -> int:
        return int(self._mapping.get("BatchSize") or 100)

    def _lanes(self) -> int:
        return int(self._mapping.get("ParallelizationFactor") or 1)

    def _deliver(self, records: list[Record]) -> bool:
        lanes: dict[int, list[Record]] = {}
        for record in records:
            key = json.dumps(record["dynamodb"]["Keys"], sort_keys=True).encode()
            lanes.setdefault(zlib.crc32(key) % self._lanes(), []).append(record)
        if len(lanes) <= 1:
            return all(self._lane(lane) for lane in lanes.values())
        with ThreadPoolExecutor(len(lanes)) as pool:
            jobs = [pool.submit(contextvars.copy_context().run, self._lane, lane) for lane in lanes.values()]
            results = [job.result() for job in jobs]
            return all(results)

    def _lane(self, records: list[Record]) -> bool:
        size = self._size()
        return all(self._batch(records[start : start + size]) for start in range(0, len(records), size))

    def _batch(self, batch: list[Record], attempt: int = 0) -> bool:
        """Deliver one batch until it is done with; False when the mapping was paused first."""
        delay, answer = FIRST_DELAY, {}
        while self._live():
            batch = self._young(batch, answer, attempt)
            if not batch:
                return True
            called = self._call(batch)
            if called is None:
                time.sleep(FIRST_DELAY)
                continue
            answer = called
            failed = self._first_failed(batch, answer)
            if failed is None:
                self._mapping["LastProcessingResult"] = f"OK - {len(batch)} records"
                return True
            self._mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
            batch = batch[failed:]
            if self._mapping.get("BisectBatchOnFunctionError") and len(batch) > 1 and not failed:
                time.sleep(delay)
                half = len(batch) // 2
                return self._batch(batch[:half], attempt) and self._batch(batch[half:], attempt)
            attempt += 1  # a split does not count as a try
            if self._tried_enough(attempt):
                self._park(batch, answer, "RetryAttemptsExhausted", attempt)
                return True
            time.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
        return False

    def _call(self, batch: list[Record]) -> dict[str, Any] | None:
        """Call the function; None when it is not there or throttled, which uses up no tries."""
        function = self._function()
        answer = functions._execute_function(function, {"Records": batch}) if function else None
        return None if answer is None or answer.get("throttle") else answer

    def _function(self) -> Any:
        name, qualifier = self._mapping["FunctionName"], self._mapping.get("Qualifier")
        return functions._get_func_record_for_qualifier(name, qualifier)[0]

    def _first_failed(self, batch: list[Record], answer: dict[str, Any]) -> int | None:
        """The index of the first record that failed; None for none, 0 for the whole batch."""
        if answer.get("error"):
            return 0
        if "ReportBatchItemFailures" not in (self._mapping.get("FunctionResponseTypes") or []):
            return None
        body = answer.get("body")
        if body is not None and not isinstance(body, dict):
            return 0
        sequences = [record["dynamodb"]["SequenceNumber"] for record in batch]
        failed = [one.get("itemIdentifier") for one in (body or {}).get("batchItemFailures") or []]
        if not failed:
            return None
        return min((sequences.index(one) if one in sequences else 0) for one in failed)

    def _young(self, batch: list[Record], answer: dict[str, Any], attempt: int) -> list[Record]:
        """What is young enough to be delivered; the rest is dead-lettered, tried or not."""
        limit = int(self._mapping.get("MaximumRecordAgeInSeconds") or FOR_EVER)
        if limit <= 0:
            return batch
        oldest = time.time() - limit
        old = [record for record in batch if _created(record) < oldest]
        if old:
            self._park(old, answer, "RecordAgeExceeded", attempt)
        return [record for record in batch if _created(record) >= oldest]

    def _tried_enough(self, tries: int) -> bool:
        most = self._mapping.get("MaximumRetryAttempts", FOR_EVER)
        return most is not None and int(most) != FOR_EVER and tries > int(most)

    def _park(self, batch: list[Record], answer: dict[str, Any], reason: str, tries: int) -> None:
        self._mapping["LastProcessingResult"] = f"PROBLEM: {reason}"
        destination = ((self._mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
        if ":s3:::" in destination:
            on_failure.put(destination.split(":::")[1], self._mapping, batch, reason, tries)
        else:
            functions._send_ddb_stream_failure_record(self._mapping, self._function(), batch, self._arn, answer, reason)


def _created(record: Record) -> float:
    return float(record["dynamodb"].get("ApproximateCreationDateTime", time.time()))
