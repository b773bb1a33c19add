"""How modern is judged, and what the end of a watch does."""

from __future__ import annotations

import pytest
from killed import kill_self, killed
from reads_world import ENTITY, QUICK, end_watch, figures, history, reads, settings, verdict, where

from runbook.cutover import reads as service
from runbook.cutover.canary_analysis import CanaryOptions, Figures, Witness, percentile
from runbook.errors import FailedError, PreconditionError, RefusedError
from runbook.journal import lock as locks

# What a watch objects to


@pytest.mark.parametrize(
    ("modern", "legacy", "options", "objects"),
    [
        (figures(), figures(), CanaryOptions(), ""),
        (figures(failures=2), figures(), CanaryOptions(), "2 of 100 requests failed (2.0%, at most 1.0%)"),
        (figures(count=20, failures=1), figures(), CanaryOptions(), ""),
        (figures(failures=1), figures(), CanaryOptions(max_errors=0), "1 of 100"),
        (figures(failures=4), figures(), CanaryOptions(max_errors=0.05), ""),
        (figures(p90=499), figures(p90=20), CanaryOptions(), ""),
        (figures(p90=501), figures(p90=20), CanaryOptions(), "501 ms, at most 500 ms; legacy's is 20 ms"),
        (figures(p90=1000), figures(p90=400), CanaryOptions(), ""),
        (figures(p90=1300), figures(p90=400), CanaryOptions(), "at most 1200 ms"),
        (figures(p90=60), figures(), CanaryOptions(max_latency=55), "at most 55 ms"),
        (figures(count=9, p90=9000), figures(), CanaryOptions(), ""),
        (figures(p90=600), Figures(), CanaryOptions(), "legacy's is unknown"),
    ],
)
def test_what_modern_is_held_to(modern, legacy, options, objects):
    said = Witness(name="requests", modern=modern, legacy=legacy).objection(options)
    assert (objects in said) if objects else said == ""


def test_the_90th_percentile():
    assert percentile([]) is None
    assert percentile([7.0]) == 7.0
    assert percentile([float(each) for each in range(101)]) == 90.0


def test_a_watch_that_passes_keeps_the_share(bare, open_checks, monkeypatch):
    end_watch(monkeypatch, verdict(True))
    assert reads(bare, 10, watch=QUICK).execute().verdict.passed
    assert where(bare) == (10, 10)
    assert history(bare)[0][1] == "watch passed"


@pytest.mark.parametrize("ending", [verdict(False, "too slow"), OSError("no network")])
@pytest.mark.parametrize("percent", [10, 100])
def test_a_watch_that_fails_takes_all_reads_back(bare, open_checks, monkeypatch, ending, percent):
    end_watch(monkeypatch, ending)
    with pytest.raises(PreconditionError, match=r"too slow|no network"):
        reads(bare, percent, watch=QUICK).execute()
    assert where(bare) == (0, 0)
    assert [result for _, result in history(bare)][:4] == ["done", "started", "watch failed", "watching"]


def test_a_shared_watch_that_fails_takes_all_entities_back(two, monkeypatch):
    reads(two, 20, "menus").execute()
    end_watch(monkeypatch, verdict(False, "too slow"))
    with pytest.raises(PreconditionError, match="too slow"):
        reads(two, 30, shared=True, watch=QUICK).execute()
    assert (where(two), where(two, "menus"), settings(two)) == ((0, 0), (0, 0), None)


def test_an_interrupted_watch_leaves_the_share_and_the_journal_says_so(bare, open_checks, monkeypatch):
    end_watch(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        reads(bare, 10, watch=QUICK).execute()
    assert where(bare) == (10, 10)
    event = bare.journal.events(ENTITY, 1)[0]
    assert (event.result, event.details["reason"]) == ("watch interrupted", "10% of reads stay on modern")
    assert bare.journal.state(ENTITY).lock is None


def test_a_watch_that_is_killed_leaves_the_share_and_the_journal_has_said_so(bare, open_checks, monkeypatch):
    def watched_until_killed() -> None:
        for client in (bare.clients.dynamodb, bare.clients.apigateway, bare.clients.sts):
            client._endpoint.http_session.close()
        monkeypatch.setattr(service, "watch_all", lambda *_: kill_self())
        reads(bare, 10, watch=QUICK).execute()

    assert killed(watched_until_killed)
    assert where(bare) == (10, 10)
    event = bare.journal.events(ENTITY, 1)[0]
    assert (event.result, event.details["reason"]) == (
        "watching",
        "10% of reads stay on modern should the watch be killed",
    )
    end_watch(monkeypatch, verdict(True))
    assert reads(bare, 10, watch=QUICK).execute().verdict.passed, "the same command watches again"


def test_what_is_under_way_elsewhere_is_waited_for_before_reads_go_back(bare, open_checks, monkeypatch):
    monkeypatch.setattr(locks, "RETRY_SECONDS", 0.01)
    held, real = [], locks.held

    def busy_at_first(journal, entity, holder, command):
        if command == service.TAKE_BACK and len(held) < 3:
            held.append(1)
            raise RefusedError("chefs is locked")
        return real(journal, entity, holder, command)

    monkeypatch.setattr(locks, "held", busy_at_first)
    end_watch(monkeypatch, verdict(False, "too slow"))
    with pytest.raises(PreconditionError, match="too slow"):
        reads(bare, 10, watch=QUICK).execute()
    assert (where(bare), len(held)) == ((0, 0), 3)


@pytest.mark.parametrize("fails", [RefusedError("menus is locked"), FailedError("the API stage is odd")])
def test_reads_that_cannot_be_taken_back_are_reported_with_the_command_and_the_others_go(two, monkeypatch, fails):
    monkeypatch.setattr(service, "TAKE_BACK_TIMEOUT_SECONDS", 0.0)
    monkeypatch.setattr(locks, "RETRY_SECONDS", 0.0)
    reads(two, 20, "menus").execute()
    real = locks.held

    def held(journal, entity, holder, command):
        if command == service.TAKE_BACK and entity == "menus":
            raise fails
        return real(journal, entity, holder, command)

    monkeypatch.setattr(locks, "held", held)
    end_watch(monkeypatch, verdict(False, "too slow"))
    with pytest.raises(PreconditionError, match="30% of reads of menus are still on modern") as said:
        reads(two, 30, shared=True, watch=QUICK).execute()
    assert "too slow" in said.value.message
    assert "`runbook rollback reads --entity menus --execute`" in said.value.remedy
    assert (where(two), where(two, "menus")) == ((0, 0), (30, 30))
    event = two.journal.events("menus", 1)[0]
    assert event.result == "reads not taken back"
    assert "`runbook rollback reads --entity menus --execute`" in event.details["reason"]
