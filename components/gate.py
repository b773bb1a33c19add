"""The gate: the function in front of public writes while the source of truth changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pulumi

from components import policies
from components.function import Function, FunctionArgs

if TYPE_CHECKING:
    import pulumi_aws as aws

TIMEOUT = 29  # seconds; API Gateway's own


@dataclass(frozen=True, kw_only=True)
class GateArgs:
    """What the gate is; `modern` are the modern writers by entity, `legacy` is the writer of all of them."""

    legacy: Function
    modern: Mapping[str, Function]
    journal: aws.dynamodb.Table
    code: pulumi.Archive
    layers: Sequence[pulumi.Input[str]]
    log_retention_days: int
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class Gate(pulumi.ComponentResource):
    """One `function` for all entities."""

    def __init__(self, name: str, args: GateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:gate:Gate", name, None, opts)
        writers = {entity: writer.name for entity, writer in args.modern.items()}
        self.function = Function(
            f"{name}-writes",
            FunctionArgs(
                handler="functions.gate.handler.handler",
                code=args.code,
                layers=args.layers,
                statements=[
                    policies.invoke([args.legacy.arn, *[writer.arn for writer in args.modern.values()]]),
                    policies.count_records(args.journal.arn),
                ],
                variables={
                    "JOURNAL_TABLE": args.journal.name,
                    "LEGACY_WRITE_FUNCTION": args.legacy.name,
                    "MODERN_WRITE_FUNCTIONS": pulumi.Output.json_dumps(writers),
                },
                log_retention_days=args.log_retention_days,
                timeout=TIMEOUT,
                tags=args.tags,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"function": self.function.name})
