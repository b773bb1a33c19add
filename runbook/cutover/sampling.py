"""How a system answers: small requests of our own, and what Lambda counts of the function behind it."""

from __future__ import annotations

import datetime as dt
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import HTTPClientError

from runbook.aws.http import OK, Api, path
from runbook.errors import FailedError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

NO_ANSWER = 0
MOST_UNDER_WAY = 8  # requests of one system that have not been answered
MINUTE = 60  # seconds; the finest that Lambda's metrics have


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was seen of one system: how many requests, how many of them failed, their 90th percentile in ms."""

    count: int = 0
    failures: int = 0
    p90: float | None = None

    @property
    def errors(self) -> float:
        """The share that failed."""
        return self.failures / self.count if self.count else 0.0

    def __str__(self) -> str:
        p90 = "" if self.p90 is None else f", p90 {self.p90:.0f} ms"
        return f"{self.failures} of {self.count} failed{p90}"


class Requests:
    """Small GETs of an entity's listing; each has a thread, so that a slow one delays no other.

    Args:
        api: the stack's.
        where: the parts of the path, system and entity, or the entity alone for the public one.
    """

    def __init__(self, api: Api, *where: str) -> None:
        self._api = api
        self._path = path(*where)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._times: list[float] = []
        self._failures = 0

    def send(self) -> None:
        """Send one, unless too many are under way."""
        self._threads = [each for each in self._threads if each.is_alive()]
        if len(self._threads) < MOST_UNDER_WAY:
            thread = threading.Thread(target=self._get, daemon=True, name=f"watch{self._path}")
            self._threads.append(thread)
            thread.start()

    def wait(self) -> None:
        """Wait for those under way; each ends by its own time limit."""
        for each in self._threads:
            each.join()

    def figures(self) -> Figures:
        """Those that were answered, or failed to be."""
        with self._lock:
            times, failures = list(self._times), self._failures
        return Figures(count=len(times), failures=failures, p90=percentile(times))

    def _get(self) -> None:
        begun = time.monotonic()
        try:
            status = self._api.once("GET", self._path, query={"limit": 1}).status
        except (FailedError, HTTPClientError):
            status = NO_ANSWER
        took = (time.monotonic() - begun) * 1000
        with self._lock:
            self._times.append(took)
            self._failures += status != OK


def percentile(times: Sequence[float]) -> float | None:
    """The 90th percentile; None of nothing."""
    if not times:
        return None
    return times[0] if len(times) == 1 else statistics.quantiles(times, n=10, method="inclusive")[8]


def invocations(client: CloudWatchClient, function: str, since: dt.datetime) -> Figures:
    """What Lambda counts of a function in the whole minutes that began after `since`, throttles as failures.

    On AWS these figures come a minute or two late. The percentile is the worst minute's.
    """
    if not function:
        return Figures()
    begins = dt.datetime.fromtimestamp(-(-since.timestamp() // MINUTE) * MINUTE, dt.UTC)
    until = max(dt.datetime.now(dt.UTC), begins) + dt.timedelta(seconds=MINUTE)
    wanted = {"invocations": "Sum", "errors": "Sum", "throttles": "Sum", "duration": "p90"}
    answer = client.get_metric_data(
        MetricDataQueries=[_query(function, name, statistic) for name, statistic in wanted.items()],
        StartTime=begins,
        EndTime=until,
    )
    found = {each.get("Id"): each.get("Values", []) for each in answer["MetricDataResults"]}
    throttles = int(sum(found.get("throttles", [])))
    return Figures(
        count=int(sum(found.get("invocations", []))) + throttles,  # AWS does not count what it throttled as invoked
        failures=int(sum(found.get("errors", []))) + throttles,
        p90=max(found.get("duration", []), default=None),
    )


def _query(function: str, name: str, statistic: str) -> MetricDataQueryTypeDef:
    metric = {
        "Namespace": "AWS/Lambda",
        "MetricName": name.capitalize(),
        "Dimensions": [{"Name": "FunctionName", "Value": function}],
    }
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": MINUTE, "Stat": statistic}}  # pyright: ignore[reportReturnType]
