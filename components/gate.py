"""The gate: the function in front of public writes from `copy start` until `complete`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from components import policies
from components.function import Function, FunctionArgs, FunctionDefaults, Invocable

if TYPE_CHECKING:
    import pulumi_aws as aws

TIMEOUT = 29  # seconds; API Gateway's own


@dataclass(frozen=True, kw_only=True)
class GateArgs:
    """What the gate is; `legacy` and `modern` are the writers by entity."""

    legacy: Mapping[str, Invocable]
    modern: Mapping[str, Invocable]
    journal: aws.dynamodb.Table
    defaults: FunctionDefaults


class Gate(pulumi.ComponentResource):
    """One `function` for all entities."""

    def __init__(self, name: str, args: GateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:gate:Gate", name, None, opts)
        modern = {entity: writer.name for entity, writer in args.modern.items()}
        called = {writer.service: writer.arn for writer in (*args.legacy.values(), *args.modern.values())}
        self.function = Function(
            f"{name}-writes",
            FunctionArgs(
                handler="functions.gate.handler.handler",
                defaults=args.defaults,
                statements=[policies.invoke(list(called.values())), policies.count_records(args.journal.arn)],
                variables={
                    "JOURNAL_TABLE": args.journal.name,
                    **_legacy(args.legacy),
                    "MODERN_WRITE_FUNCTIONS": pulumi.Output.json_dumps(modern),
                    "LEGACY_WRITE_TIMEOUT": _longest(args.legacy),
                    "MODERN_WRITE_TIMEOUT": _longest(args.modern),
                    "OWN_TIMEOUT": str(TIMEOUT),
                },
                timeout=TIMEOUT,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"function": self.function.name})


def _longest(writers: Mapping[str, Invocable]) -> str:
    """Seconds after which none of the writers runs any more."""
    return str(max(writer.timeout for writer in writers.values()))


def _legacy(writers: Mapping[str, Invocable]) -> dict[str, pulumi.Input[str]]:
    """One name where one function writes all entities: an environment has room for 4 KB."""
    if len({writer.service for writer in writers.values()}) == 1:
        return {"LEGACY_WRITE_FUNCTION": next(iter(writers.values())).name}
    names = {entity: writer.name for entity, writer in writers.items()}
    return {"LEGACY_WRITE_FUNCTIONS": pulumi.Output.json_dumps(names)}
