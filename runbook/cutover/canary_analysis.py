"""How the canary is judged: watches modern's reads after a share was moved, with legacy's reads as the yardstick.

Two sources are compared. Small requests of this process, one a second to each system, meet every failure that a client
would. Lambda's own count has all requests, public ones included, but on AWS it is a minute or two late, so it matters
only in a longer watch. Where modern answers all reads, a third request asks by the public path: API Gateway calls the
function another way there, above all by another permission.
"""

from __future__ import annotations

import datetime as dt
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from functions.domain.contract import ApiContract
from runbook.aws.api_gateway import ALL
from runbook.aws.foreign_calls import ForeignCalls
from runbook.aws.http import OK, path
from runbook.aws.outputs import EntityTarget
from runbook.errors import FailedError
from runbook.stack import Context

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

FEWEST_FAILURES = 2  # a single one may be chance
FEWEST_REQUESTS = 10  # of which a 90th percentile says something
SLOWER = 3.0  # times legacy's 90th percentile
NEVER_TOO_SLOW_MS = 500.0  # by default: a cold start takes as long
LAMBDA_INTERVAL_SECONDS = 10.0  # between two looks at Lambda's count
MOST_UNDER_WAY = 8  # requests of one system that have not been answered
MINUTE = 60  # seconds; the finest that Lambda's metrics have


@dataclass(frozen=True, kw_only=True)
class CanaryOptions:
    """How to watch.

    Attributes:
        seconds: how long; 0 for not at all.
        max_errors: the share of failed requests that passes.
        max_latency: ms of the 90th percentile that pass; None for 3 times legacy's, 500 at least.
        interval: seconds between two requests to each system.
    """

    seconds: float = 60.0
    max_errors: float = 0.01
    max_latency: float | None = None
    interval: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was seen of one system: how many requests, how many of them failed, their 90th percentile in ms."""

    count: int = 0
    failures: int = 0
    p90: float | None = None

    @property
    def errors(self) -> float:
        return self.failures / self.count if self.count else 0.0

    def __str__(self) -> str:
        p90 = "" if self.p90 is None else f", p90 {self.p90:.0f} ms"
        return f"{self.failures} of {self.count} failed{p90}"


@dataclass(frozen=True, kw_only=True)
class Witness:
    """What one source says of both systems."""

    name: str
    modern: Figures
    legacy: Figures

    def limit(self, options: CanaryOptions) -> float:
        """The slowest 90th percentile that passes, in ms."""
        if options.max_latency is not None:
            return options.max_latency
        return max(NEVER_TOO_SLOW_MS, SLOWER * (self.legacy.p90 or 0.0))

    def objection(self, options: CanaryOptions) -> str:
        """Why modern does not pass; empty when it does."""
        least = FEWEST_FAILURES if options.max_errors else 1
        modern, legacy = self.modern, self.legacy
        if modern.failures >= least and modern.errors > options.max_errors:
            return (
                f"{modern.failures} of {modern.count} {self.name} failed ({modern.errors:.1%}, at most "
                f"{options.max_errors:.1%}); of legacy's {legacy.failures} of {legacy.count}"
            )
        limit = self.limit(options)
        if modern.count >= FEWEST_REQUESTS and modern.p90 is not None and modern.p90 > limit:
            yardstick = "unknown" if legacy.p90 is None else f"{legacy.p90:.0f} ms"
            return (
                f"the 90th percentile of {modern.count} {self.name} is {modern.p90:.0f} ms, at most {limit:.0f} ms; "
                f"legacy's is {yardstick}"
            )
        return ""


@dataclass(frozen=True, kw_only=True)
class CanaryVerdict:
    """What a watch found: `reason` says why modern did not pass; `public` is None while the public path is shared."""

    entity: str
    passed: bool
    reason: str
    seconds: float
    requests: Witness
    functions: Witness
    public: Witness | None = None


def watch_all(context: Context, entities: Sequence[EntityTarget], options: CanaryOptions) -> CanaryVerdict:
    """Watch several; the verdict is that of the first which does not pass, else that of the first."""
    watched = [_Watched(context, entity, options) for entity in entities]
    deadline = time.monotonic() + options.seconds
    while True:
        begun = time.monotonic()
        for one in watched:
            one.requests()
        time.sleep(max(0.0, min(options.interval, deadline - begun)))
        over = time.monotonic() >= deadline
        verdicts = [one.verdict(last=over) for one in watched]
        failed = [one for one in verdicts if not one.passed]
        if failed or over:
            return (failed or verdicts)[0]
        context.say(f"watching {verdicts[0].seconds:.0f} of {options.seconds:.0f} s: {verdicts[0].requests.modern}")


@dataclass
class _Watched:
    context: Context
    entity: EntityTarget
    options: CanaryOptions
    _begun: float = field(init=False, default_factory=time.monotonic)
    _since: dt.datetime = field(init=False, default_factory=lambda: dt.datetime.now(dt.UTC))
    _looked: float = field(init=False, default=0.0)
    _functions: Witness = field(
        init=False, default_factory=lambda: Witness(name="invocations", modern=Figures(), legacy=Figures())
    )

    def __post_init__(self) -> None:
        if contract := self.context.target.mapping[self.entity.name].contract:
            self._modern, self._legacy = (self._foreign(contract, system) for system in ("modern", "legacy"))
            self._public = None  # who may call an adopted API, and how, is its owner's
            return
        self._modern, self._legacy = (self._own(system, self.entity.name) for system in ("dynamo", "aurora"))
        alone = self.context.routing.reads_percent(self.entity) == ALL
        self._public = self._own(self.entity.name) if alone else None

    def _own(self, *where: str) -> Requests:
        """GETs of a listing; `where` is the parts of the path: system and entity, or the entity alone for clients'."""
        there = path(*where)
        return Requests(lambda: self.context.api.once("GET", there, query={"limit": 1}).status == OK, there)

    def _foreign(self, contract: ApiContract, system: str) -> Requests:
        """Calls of a function by the template of a list; without one nothing is sent, and Lambda's count decides."""
        calls = ForeignCalls(self.context.clients.functions_once, self.entity, contract)
        return Requests((lambda: _lists(calls, system)) if calls.find("list") else None, system)

    def requests(self) -> None:
        """Send one request to each system, and one by the public path."""
        self._modern.send()
        self._legacy.send()
        if self._public:
            self._public.send()

    def verdict(self, *, last: bool) -> CanaryVerdict:
        """What the sources say so far; the last time, everything under way is waited for."""
        if last:
            self._modern.wait()
            if self._public:
                self._public.wait()
        if last or time.monotonic() - max(self._looked, self._begun) >= LAMBDA_INTERVAL_SECONDS:
            self._functions, self._looked = self._counted(), time.monotonic()
        own = Witness(name="requests", modern=self._modern.figures(), legacy=self._legacy.figures())
        public = None
        if self._public:
            public = Witness(name="public requests", modern=self._public.figures(), legacy=own.legacy)
        witnesses = (own, self._functions, *([public] if public else []))
        reason = next((said for one in witnesses if (said := one.objection(self.options))), "")
        return CanaryVerdict(
            entity=self.entity.name,
            passed=not reason,
            reason=reason,
            seconds=time.monotonic() - self._begun,
            requests=own,
            functions=self._functions,
            public=public,
        )

    def _counted(self) -> Witness:
        client = self.context.clients.cloudwatch
        return Witness(
            name="invocations",
            modern=invocations(client, self.entity.read_function, self._since),
            legacy=invocations(client, self.entity.legacy_read_function, self._since),
        )


class Requests:
    """Small reads of an entity's listing; each has a thread, so that a slow one delays no other.

    Args:
        ask: sends one, and says whether it was answered well; None for no requests.
        where: what is asked, for the threads' names.
    """

    def __init__(self, ask: Callable[[], bool] | None, where: str) -> None:
        self._ask = ask
        self._where = where
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._times: list[float] = []
        self._failures = 0

    def send(self) -> None:
        """Send one, unless too many are under way."""
        self._threads = [each for each in self._threads if each.is_alive()]
        if self._ask and len(self._threads) < MOST_UNDER_WAY:
            thread = threading.Thread(target=self._send, args=(self._ask,), daemon=True, name=f"watch {self._where}")
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

    def _send(self, ask: Callable[[], bool]) -> None:
        begun = time.monotonic()
        try:
            well = ask()
        except (FailedError, BotoCoreError, ClientError):
            well = False
        took = (time.monotonic() - begun) * 1000
        with self._lock:
            self._times.append(took)
            self._failures += not well


def _lists(calls: ForeignCalls, system: str) -> bool:
    calls.send(system, "list", {"id": ""})
    return True


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
        "Dimensions": [{"Name": "FunctionName", "Value": function.partition(":")[0]}],  # without an alias
    }
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": MINUTE, "Stat": statistic}}  # pyright: ignore[reportReturnType]
