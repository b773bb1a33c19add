"""What the tests of reads by percentage share."""

from __future__ import annotations

from runbook.cutover import reads as service
from runbook.cutover.canary_analysis import CanaryOptions, CanaryVerdict, Figures, Witness
from runbook.cutover.reads import Reads

ENTITY = "chefs"
UNWATCHED = CanaryOptions(seconds=0)
QUICK = CanaryOptions(seconds=30, interval=0.05)


def reads(context, percent, entity=ENTITY, **more):
    return Reads(context, context.target.entity(entity), percent, **{"watch": UNWATCHED, **more})


def where(context, entity=ENTITY):
    return context.journal.state(entity).reads, context.routing.reads_percent(context.target.entity(entity))


def settings(context):
    stage = context.clients.apigateway.get_stage(restApiId=context.target.api_id, stageName="prod")
    return stage.get("canarySettings")


def history(context, entity=ENTITY):
    return [(event.command, event.result) for event in context.journal.events(entity, 100)]


def figures(count=100, failures=0, p90=50.0):
    return Figures(count=count, failures=failures, p90=p90)


def verdict(passed, reason=""):
    witness = Witness(name="requests", modern=figures(), legacy=figures())
    return CanaryVerdict(entity=ENTITY, passed=passed, reason=reason, seconds=1, requests=witness, functions=witness)


def end_watch(monkeypatch, ending):
    def watch_all(*_):
        if isinstance(ending, BaseException):
            raise ending
        return ending

    monkeypatch.setattr(service, "watch_all", watch_all)
