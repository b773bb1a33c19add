"""The smoke test of an API that is the team's own, by the templates of entities.toml.

It calls the functions themselves, and compares row with item as `verify` does. What entities.toml has no template for
is skipped, and the step says so.
"""

import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from functions.domain.phase import Phase
from runbook.aws.foreign_calls import ForeignCalls
from runbook.errors import FailedError
from runbook.smoke.own import FIRST, SECOND, UPDATED, sample
from runbook.smoke.run import BRIDGE_TIMEOUT_SECONDS, PlannedStep, SkippedError, SmokeRun
from runbook.verify import run as verification

NEEDED = ("create", "delete")  # templates without which no record is made: it could not be removed


@dataclass
class ForeignSmoke(SmokeRun):
    def _plan(self) -> list[PlannedStep]:
        modern: list[PlannedStep] = [
            ("modern lists", "modern", lambda: self._lists("modern")),
            ("modern creates", "modern", lambda: self._creates("modern", SECOND)),
            ("modern reads it", "modern", lambda: self._reads("modern")),
        ]
        if self._phase == Phase.COMPLETE:  # no bridge, and a legacy table that is not updated
            return modern
        legacy: list[PlannedStep] = [
            ("legacy creates", "legacy", lambda: self._creates("legacy", FIRST)),
            ("legacy reads it", "legacy", lambda: self._reads("legacy")),
        ]
        return [
            ("legacy lists", "legacy", lambda: self._lists("legacy")),
            *([] if self._fenced else legacy),  # behind the fence an adopted writer answers as it likes
            *modern,
            ("the bridge brings modern's record to Aurora", "bridge", self._bridged),
            ("the bridge brings its update", "bridge", self._updates),
            ("the bridge brings its deletion", "bridge", self._deletes),
        ]

    @cached_property
    def _calls(self) -> ForeignCalls:
        contract = self._described.contract
        assert contract is not None, "the entity has a contract"
        return ForeignCalls(self.context.clients.functions_once, self.entity, contract)

    def _lists(self, system: str) -> str:
        self._demand_template("list")
        self._calls.send(system, "list", {"id": ""})
        return "answered"

    def _creates(self, system: str, words: tuple[str, ...]) -> str:
        for name in NEEDED:
            self._demand_template(name)
        given = str(uuid.uuid4())
        body = self._calls.send(system, "create", self._values(given, words))
        key = self._calls.key("create", body) or given
        self.created.append((system, key))
        return f"record {key}"

    def _reads(self, system: str) -> str:
        self._demand_template("read")
        key = self._own(system)
        self._calls.send(system, "read", {"id": key})
        return f"record {key} is there"

    def _bridged(self) -> str:
        self._demand_connected()
        return self._equal(self._own("modern"), "the record")

    def _updates(self) -> str:
        self._demand_template("update")
        key = self._own("modern")
        self._calls.send("modern", "update", self._values(key, UPDATED))
        return self._equal(key, "the update")

    def _deletes(self) -> str:
        key = self._own("modern")
        self._calls.send("modern", "delete", {"id": key})
        self.created.remove(("modern", key))
        return self._equal(key, "the deletion")

    def _equal(self, key: str, what: str) -> str:
        if verification.compare_keys(self.context, self.entity, [key], BRIDGE_TIMEOUT_SECONDS):
            raise FailedError(
                f"{what} of {key} did not arrive within {BRIDGE_TIMEOUT_SECONDS:.0f} s; run `runbook status`"
            )
        return f"row and item of {key} are equal"

    def _own(self, system: str) -> str:
        """The key of the record that was made on a system."""
        for where, key in self.created:
            if where == system:
                return key
        raise SkippedError("no record was made")

    def _values(self, key: str, words: tuple[str, ...]) -> dict[str, Any]:
        return {**sample(self._described, words), "id": key}

    def _demand_template(self, name: str) -> None:
        if self._calls.find(name) is None:
            raise SkippedError(f"entities.toml has no [{self.entity.name}.calls.{name}]")

    def _clean_up(self) -> None:
        """Modern's record first, so that the bridge cannot bring its row back; behind the fence nothing of legacy's."""
        for system, key in sorted(self.created, reverse=True):
            try:
                self._calls.send(system, "delete", {"id": key})
            except FailedError as error:
                raise FailedError(
                    f"the smoke test's record {key} could not be removed from {system}: {error.message}",
                    f"Remove it by hand: {self._calls.contract.calls['delete'].operation}",
                ) from error
