"""Watches modern's reads after a share of them was moved: errors and latency, with legacy's as the yardstick.

Two witnesses: requests of our own, one a second to each system, which see every failure that a client would; and
Lambda's own count of all requests, public ones included, which on AWS comes a minute or two late and so matters only in
a longer watch. Where modern answers all reads a third asks by the public path: API Gateway's own way to the function,
its permission above all, is another there.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from runbook.aws.api_gateway import ALL
from runbook.aws.outputs import EntityTarget
from runbook.cutover.sampling import Figures, Requests, invocations
from runbook.stack import Context

FEW = 2  # failures that may not be chance
ENOUGH = 10  # requests of which a 90th percentile says something
SLOWER = 3.0  # times legacy's 90th percentile
FLOOR = 500.0  # ms that are never too slow by default: a cold start takes as long
LAMBDA_EVERY = 10.0  # seconds between two looks at Lambda's count
MILLISECONDS = 1000


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to watch.

    Attributes:
        seconds: how long; 0 for not at all.
        max_errors: the share of failed requests that is borne.
        max_latency: ms of the 90th percentile that are borne; None for 3 times legacy's, 500 at least.
        interval: seconds between two requests to each system.
    """

    seconds: float = 60.0
    max_errors: float = 0.01
    max_latency: float | None = None
    interval: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Witness:
    """What one of the two saw of both systems."""

    name: str
    modern: Figures
    legacy: Figures

    def limit(self, options: Options) -> float:
        """The 90th percentile that is borne, in ms."""
        if options.max_latency is not None:
            return options.max_latency
        return max(FLOOR, SLOWER * (self.legacy.p90 or 0.0))

    def objection(self, options: Options) -> str:
        """Why modern does not pass; empty when it does."""
        least = FEW if options.max_errors else 1
        modern, legacy = self.modern, self.legacy
        if modern.failures >= least and modern.errors > options.max_errors:
            return (
                f"{modern.failures} of {modern.count} {self.name} failed ({modern.errors:.1%}, at most "
                f"{options.max_errors:.1%}); of legacy's {legacy.failures} of {legacy.count}"
            )
        limit = self.limit(options)
        if modern.count >= ENOUGH and modern.p90 is not None and modern.p90 > limit:
            yardstick = "unknown" if legacy.p90 is None else f"{legacy.p90:.0f} ms"
            return (
                f"the 90th percentile of {modern.count} {self.name} is {modern.p90:.0f} ms, at most {limit:.0f} ms; "
                f"legacy's is {yardstick}"
            )
        return ""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a watch found: `reason` tells why it did not pass; `public` is None while the public path is shared."""

    entity: str
    passed: bool
    reason: str
    seconds: float
    requests: Witness
    functions: Witness
    public: Witness | None = None


def watch(context: Context, entity: EntityTarget, options: Options) -> Verdict:
    """Watch one entity until its time is over or modern does not pass."""
    return watch_all(context, [entity], options)


def watch_all(context: Context, entities: Sequence[EntityTarget], options: Options) -> Verdict:
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
    """One entity that is watched."""

    context: Context
    entity: EntityTarget
    options: Options
    _begun: float = field(init=False, default_factory=time.monotonic)
    _since: dt.datetime = field(init=False, default_factory=lambda: dt.datetime.now(dt.UTC))
    _looked: float = field(init=False, default=0.0)
    _functions: Witness = field(
        init=False, default_factory=lambda: Witness(name="invocations", modern=Figures(), legacy=Figures())
    )

    def __post_init__(self) -> None:
        self._modern = Requests(self.context.api, "dynamo", self.entity.name)
        self._legacy = Requests(self.context.api, "aurora", self.entity.name)
        alone = self.context.routing.reads_percent(self.entity) == ALL
        self._public = Requests(self.context.api, self.entity.name) if alone else None

    def requests(self) -> None:
        """Send one request to each system, and one by the public path."""
        self._modern.send()
        self._legacy.send()
        if self._public:
            self._public.send()

    def verdict(self, *, last: bool) -> Verdict:
        """What both witnesses say so far; the last time everything under way is waited for."""
        if last:
            self._modern.wait()
            if self._public:
                self._public.wait()
        if last or time.monotonic() - max(self._looked, self._begun) >= LAMBDA_EVERY:
            self._functions, self._looked = self._counted(), time.monotonic()
        own = Witness(name="requests", modern=self._modern.figures(), legacy=self._legacy.figures())
        public = self._by_the_public_path(own.legacy)
        witnesses = (own, self._functions, *([public] if public else []))
        reason = next((said for one in witnesses if (said := one.objection(self.options))), "")
        return Verdict(
            entity=self.entity.name,
            passed=not reason,
            reason=reason,
            seconds=time.monotonic() - self._begun,
            requests=own,
            functions=self._functions,
            public=public,
        )

    def _by_the_public_path(self, legacy: Figures) -> Witness | None:
        if self._public is None:
            return None
        return Witness(name="public requests", modern=self._public.figures(), legacy=legacy)

    def _counted(self) -> Witness:
        client, target = self.context.clients.cloudwatch, self.context.target
        return Witness(
            name="invocations",
            modern=invocations(client, self.entity.read_function, self._since),
            legacy=invocations(client, target.legacy_read_function, self._since),
        )
