"""An API stage's settings that decide where traffic goes, and the patch operations that change them.

API Gateway's canary gives a percentage of all requests other values of stage variables. It has one percentage, so
every entity in it shares that. UpdateStage takes the operations in order and all or none; `replace` on a part of
canarySettings makes a canary with the stage's own deployment where there is none (AWS: "Create a canary release",
"Update a canary release", "Turn off a canary release").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mypy_boto3_apigateway.type_defs import PatchOperationTypeDef, StageResponseTypeDef

CANARY = "/canarySettings"
OVERRIDES = f"{CANARY}/stageVariableOverrides"


@dataclass(frozen=True, kw_only=True)
class Canary:
    """The share of requests that get other values: `percent` of them, served by `deployment`."""

    percent: float
    deployment: str
    overrides: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class StageChange:
    """What a stage should have; all that is not named stays.

    Attributes:
        variables: values of stage variables; None for no variable.
        overrides: values of the canary's overrides; None for no override.
        percent: the canary's percentage, should there be a canary afterwards.
        deployment: the id of the deployment that it serves.
    """

    variables: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    overrides: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    percent: float | None = None
    deployment: str | None = None


@dataclass(frozen=True, kw_only=True)
class Stage:
    variables: Mapping[str, str]
    deployment: str
    canary: Canary | None

    def operations(self, change: StageChange) -> list[PatchOperationTypeDef]:
        """The patch operations that are left to be as `change` says; none when it is so already."""
        found = [
            _operation("remove" if value is None else "replace", f"/variables/{name}", value)
            for name, value in change.variables.items()
            if self.variables.get(name) != value
        ]
        if change.deployment and change.deployment != self.deployment:
            found.append(_operation("replace", "/deploymentId", change.deployment))
        present = dict(self.canary.overrides) if self.canary else {}
        wanted = {**present, **change.overrides}
        kept = {name: value for name, value in wanted.items() if value is not None}
        if not kept:
            # A canary without overrides would go on serving its own deployment, which the next deploy makes an old one.
            # Two who leave at once take only their own override each; so who is gone already looks too.
            left = self.canary is not None and bool(present or change.overrides)
            return [*found, _operation("remove", CANARY)] if left else found
        return [*found, *self._canary(present, kept, change.percent)]

    def renewal(self) -> list[PatchOperationTypeDef]:
        """What lets the canary serve the stage's own deployment, where a deploy has left it on an old one."""
        if self.canary is None or self.canary.deployment in {"", self.deployment}:
            return []
        return [_operation("replace", f"{CANARY}/deploymentId", self.deployment)]

    def _canary(
        self, present: Mapping[str, str], kept: Mapping[str, str], percent: float | None
    ) -> list[PatchOperationTypeDef]:
        found = [_operation("remove", f"{OVERRIDES}/{name}") for name in present if name not in kept]
        found += [
            _operation("replace", f"{OVERRIDES}/{name}", value)
            for name, value in kept.items()
            if present.get(name) != value
        ]
        if percent is not None and (self.canary is None or self.canary.percent != percent):
            found.append(_operation("replace", f"{CANARY}/percentTraffic", f"{percent:.1f}"))
        return [*found, *self.renewal()] if percent is not None else found


def read(answer: StageResponseTypeDef) -> Stage:
    settings = answer.get("canarySettings")
    canary = None
    if settings:
        canary = Canary(
            percent=float(settings.get("percentTraffic", 0)),
            deployment=settings.get("deploymentId", ""),
            overrides=settings.get("stageVariableOverrides", {}),
        )
    return Stage(variables=answer.get("variables", {}), deployment=answer.get("deploymentId", ""), canary=canary)


def _operation(op: Literal["replace", "remove"], path: str, value: str | None = None) -> PatchOperationTypeDef:
    return {"op": op, "path": path} if value is None else {"op": op, "path": path, "value": value}
