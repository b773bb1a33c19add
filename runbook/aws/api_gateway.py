"""Which system the public endpoint's reads and writes of an entity go to.

The API stage's variables and its canary's overrides of them, read and changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from functions.adopted import checks
from functions.aws.retry import BUSY_CODES
from runbook.aws import api_stage as stages
from runbook.aws.api_stage import Stage, StageChange
from runbook.aws.outputs import EntityTarget, Target
from runbook.errors import FailedError, PreconditionError

if TYPE_CHECKING:
    from mypy_boto3_apigateway import APIGatewayClient
    from mypy_boto3_apigateway.type_defs import PatchOperationTypeDef

    Needed = Callable[[Stage], Sequence[PatchOperationTypeDef]]

ALL = 100  # percent of reads

TIMEOUT_SECONDS = 60.0  # UpdateStage shares a low account-wide rate and answers ConflictException while it works
MOVED = frozenset({"BadRequestException", "NotFoundException"})  # what is to be removed may be gone meanwhile
FIRST_WAIT = 0.2


class Side(StrEnum):
    """A system that can answer, or the gate before both.

    `split` is both, by percentage; `unknown` is a function that is none of theirs, `unset` no function at all.
    """

    LEGACY = "legacy"
    MODERN = "modern"
    GATE = "gate"
    SPLIT = "split"
    UNKNOWN = "unknown"
    UNSET = "unset"


@dataclass(frozen=True, kw_only=True)
class Routes:
    """Where an entity's public reads and writes go; None in a change leaves that one alone."""

    reads: Side | None = None
    writes: Side | None = None


class Routing:
    """The routes of one stack's API stage."""

    def __init__(self, client: APIGatewayClient, target: Target) -> None:
        self._client = client
        self._target = target

    def stage(self) -> Stage:
        return stages.read(self._client.get_stage(restApiId=self._target.api_id, stageName=self._target.stage_name))

    def variables(self) -> Mapping[str, str]:
        """The stage's variables as they are now."""
        return self.stage().variables

    def routes(self, entity: EntityTarget) -> Routes:
        """Where the entity's reads and writes go now."""
        stage = self.stage()
        reads = _side(stage.variables.get(entity.reads_variable), entity.legacy_read_function, entity.read_function)
        return Routes(
            reads=Side.SPLIT if 0 < _percent(stage, entity) < ALL else reads,
            writes=_side(
                stage.variables.get(entity.writes_variable),
                entity.legacy_write_function,
                entity.write_function,
                self._target.gate_function,
            ),
        )

    def reads_percent(self, entity: EntityTarget) -> int:
        """The share of the entity's public reads that modern answers, 0 to 100."""
        return _percent(self.stage(), entity)

    def send_reads(self, entity: EntityTarget, percent: int, others: int | None = None) -> bool:
        """Let modern answer so many of 100 public reads, in one call, and look that it took effect.

        From 1 to 99 by the canary, whose percentage every entity in it shares; 0 and 100 by the variable itself,
        and the entity leaves the canary.

        Args:
            percent: 0 to 100.
            others: with 0 or 100, the percentage of those who stay in the canary; as it is by default.

        Returns:
            Whether anything had to be changed.

        Raises:
            PreconditionError: when modern or legacy is not deployed.
            FailedError: as `route` does.
        """
        if percent in {0, ALL}:
            side = Side.MODERN if percent else Side.LEGACY
            return self._reach(replace(self._change(entity, Routes(reads=side)), percent=others))
        legacy, modern = (self._function(entity, side, "read") for side in (Side.LEGACY, Side.MODERN))
        name = entity.reads_variable
        return self._reach(StageChange(variables={name: legacy}, overrides={name: modern}, percent=percent))

    def route(
        self,
        entity: EntityTarget,
        change: Routes,
        check: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> bool:
        """Send reads and writes where `change` says, both in one call, and look that it took effect.

        Reads that were split by the canary are taken out of it.

        Args:
            change: where to.
            check: called right before each call; it raises when the operator's lock is another's by now.
            timeout: seconds that a busy stage is waited for; `TIMEOUT_SECONDS` by default.

        Returns:
            Whether anything had to be changed.

        Raises:
            PreconditionError: when that system is not deployed.
            FailedError: when the stage is still not as asked after `timeout` seconds.
        """
        wanted = self._change(entity, change)
        return self._until(lambda stage: stage.operations(wanted), check, timeout)

    def set(self, wanted: Mapping[str, str | None]) -> bool:
        """Give stage variables these values, None for no variable, as `route` does."""
        return self._reach(StageChange(variables=wanted))

    def serve(self, deployment: str) -> bool:
        """Let the stage serve another deployment, as `route` does."""
        return self._reach(StageChange(deployment=deployment))

    def renew_canary(self) -> bool:
        """Let streamback's canary serve what the stage serves since the last deploy; whether it was left behind."""
        return self._until(lambda stage: [] if self.others_canary(stage) else stage.renewal())

    def others_canary(self, stage: Stage) -> bool:
        """Whether the stage has a canary of somebody else's: streamback's overrides variables of entities' reads."""
        return checks.others_canary(stage.canary.overrides.keys() if stage.canary else None, self._target.entities)

    def _change(self, entity: EntityTarget, routes: Routes) -> StageChange:
        variables: dict[str, str] = {}
        if routes.reads:
            variables[entity.reads_variable] = self._function(entity, routes.reads, "read")
        if routes.writes:
            variables[entity.writes_variable] = self._function(entity, routes.writes, "write")
        return StageChange(variables=variables, overrides={entity.reads_variable: None} if routes.reads else {})

    def _reach(self, change: StageChange) -> bool:
        return self._until(lambda stage: stage.operations(change))

    def _until(self, needed: Needed, check: Callable[[], object] | None = None, timeout: float | None = None) -> bool:
        seconds = TIMEOUT_SECONDS if timeout is None else timeout
        deadline = time.monotonic() + seconds
        wait, changed = FIRST_WAIT, False
        while missing := needed(self.stage()):
            if time.monotonic() > deadline:
                paths = ", ".join(each.get("path", "") for each in missing)
                raise FailedError(
                    f"the API stage still has other values for {paths} after {seconds:.0f} s",
                    "Something else changes the stage (a deployment?): wait for it, run the command again.",
                )
            if check:
                check()
            changed = self._patch(missing, needed) or changed
            if needed(self.stage()):
                time.sleep(wait)
                wait = min(wait * 2, 5.0)
        return changed

    def _patch(self, operations: Sequence[PatchOperationTypeDef], needed: Needed) -> bool:
        """One UpdateStage; False when the stage was busy, or no longer as it was read, and nothing changed."""
        try:
            self._client.update_stage(
                restApiId=self._target.api_id, stageName=self._target.stage_name, patchOperations=operations
            )
        except self._client.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code in BUSY_CODES or (code in MOVED and needed(self.stage()) != operations):
                return False
            raise
        return True

    def _function(self, entity: EntityTarget, side: Side, role: str) -> str:
        found = {
            (Side.LEGACY, "read"): entity.legacy_read_function,
            (Side.LEGACY, "write"): entity.legacy_write_function,
            (Side.MODERN, "read"): entity.read_function,
            (Side.MODERN, "write"): entity.write_function,
            (Side.GATE, "write"): self._target.gate_function,
        }.get((side, role))
        if not found:
            raise PreconditionError(
                f"the {side} system has no {role} function for {entity.name}",
                "Deploy that part first: see `parts` in the stack's settings.",
            )
        return found


def reads_side(percent: int) -> Side:
    """Where reads go when modern answers so many of 100."""
    return {0: Side.LEGACY, ALL: Side.MODERN}.get(percent, Side.SPLIT)


def _percent(stage: Stage, entity: EntityTarget) -> int:
    """Whole percents; never 0 or 100 while both answer, whatever else has set a fraction."""
    if not entity.read_function:
        return 0
    name, canary = entity.reads_variable, stage.canary
    base = ALL * (stage.variables.get(name) == entity.read_function)
    if canary is None or name not in canary.overrides:
        return base
    over = ALL * (canary.overrides[name] == entity.read_function)
    share = (over * canary.percent + base * (ALL - canary.percent)) / ALL
    return round(share) if share in {0, ALL} else min(max(round(share), 1), ALL - 1)


def _side(value: str | None, legacy: str, modern: str, gate: str = "") -> Side:
    if not value:
        return Side.UNSET
    known = {modern: Side.MODERN, gate: Side.GATE, legacy: Side.LEGACY}
    return known.get(value, Side.UNKNOWN)
