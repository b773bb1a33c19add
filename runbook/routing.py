"""Which system the public endpoint's reads and writes of an entity go to.

The API stage's variables, read and changed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from runbook.errors import FailedError, PreconditionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_apigateway import APIGatewayClient

    from runbook.target import EntityTarget, Target

PATIENCE = (
    60.0  # seconds; UpdateStage shares a low account-wide rate and answers ConflictException while it works
)
BUSY = frozenset({"ConflictException", "TooManyRequestsException"})
FIRST_WAIT = 0.2


class Side(StrEnum):
    """A system that can answer, or the gate before both.

    `unknown` is a function that is none of theirs, `unset` no function at all.
    """

    LEGACY = "legacy"
    MODERN = "modern"
    GATE = "gate"
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

    def variables(self) -> Mapping[str, str]:
        """The stage's variables as they are now."""
        stage = self._client.get_stage(restApiId=self._target.api_id, stageName=self._target.stage_name)
        return stage.get("variables", {})

    def routes(self, entity: EntityTarget) -> Routes:
        """Where the entity's reads and writes go now."""
        variables = self.variables()
        return Routes(
            reads=_side(
                variables.get(entity.reads_variable), self._target.legacy_read_function, entity.read_function
            ),
            writes=_side(
                variables.get(entity.writes_variable),
                self._target.legacy_write_function,
                entity.write_function,
                self._target.gate_function,
            ),
        )

    def route(self, entity: EntityTarget, change: Routes) -> bool:
        """Send reads and writes where `change` says, both in one call, and look that it took effect.

        Returns:
            Whether anything had to be changed.

        Raises:
            PreconditionError: when that system is not deployed.
            FailedError: when the stage is still not as asked after `PATIENCE` seconds.
        """
        wanted: dict[str, str] = {}
        if change.reads:
            wanted[entity.reads_variable] = self._function(entity, change.reads, "read")
        if change.writes:
            wanted[entity.writes_variable] = self._function(entity, change.writes, "write")
        return self.set(wanted)

    def set(self, wanted: Mapping[str, str]) -> bool:
        """Give stage variables these values, as `route` does."""
        deadline = time.monotonic() + PATIENCE
        wait, changed = FIRST_WAIT, False
        while missing := _differing(self.variables(), wanted):
            if time.monotonic() > deadline:
                raise FailedError(
                    f"the API stage still has other values for {', '.join(missing)} after {PATIENCE:.0f} s",
                    "Something else changes the stage (a deployment?): wait for it, run the command again.",
                )
            changed = self._patch(missing) or changed
            if _differing(self.variables(), wanted):
                time.sleep(wait)
                wait = min(wait * 2, 5.0)
        return changed

    def _patch(self, values: Mapping[str, str]) -> bool:
        """One UpdateStage; False when the stage was busy and nothing changed."""
        try:
            self._client.update_stage(
                restApiId=self._target.api_id,
                stageName=self._target.stage_name,
                patchOperations=[
                    {"op": "replace", "path": f"/variables/{name}", "value": value}
                    for name, value in values.items()
                ],
            )
        except self._client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") in BUSY:
                return False
            raise
        return True

    def _function(self, entity: EntityTarget, side: Side, role: str) -> str:
        found = {
            (Side.LEGACY, "read"): self._target.legacy_read_function,
            (Side.LEGACY, "write"): self._target.legacy_write_function,
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


def _differing(present: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if present.get(name) != value}


def _side(value: str | None, legacy: str, modern: str, gate: str = "") -> Side:
    if not value:
        return Side.UNSET
    known = {modern: Side.MODERN, gate: Side.GATE, legacy: Side.LEGACY}
    return known.get(value, Side.UNKNOWN)
