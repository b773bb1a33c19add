"""The gate: the function in front of public writes from `copy start` until `complete`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi

from components import policies
from components.function import Function, FunctionArgs, FunctionDefaults

if TYPE_CHECKING:
    import pulumi_aws as aws

TIMEOUT = 29  # seconds; API Gateway's own


@dataclass(frozen=True, kw_only=True)
class GateArgs:
    """What the gate is; `modern` are the modern writers by entity, `legacy` is the writer of all of them."""

    legacy: Function
    modern: Mapping[str, Function]
    journal: aws.dynamodb.Table
    defaults: FunctionDefaults


class Gate(pulumi.ComponentResource):
    """One `function` for all entities."""

    def __init__(self, name: str, args: GateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:gate:Gate", name, None, opts)
        writers = {entity: writer.name for entity, writer in args.modern.items()}
        self.function = Function(
            f"{name}-writes",
            FunctionArgs(
                handler="functions.gate.handler.handler",
                defaults=args.defaults,
                statements=[
                    policies.invoke([args.legacy.arn, *[writer.arn for writer in args.modern.values()]]),
                    policies.count_records(args.journal.arn),
                ],
                variables={
                    "JOURNAL_TABLE": args.journal.name,
                    "LEGACY_WRITE_FUNCTION": args.legacy.name,
                    "MODERN_WRITE_FUNCTIONS": pulumi.Output.json_dumps(writers),
                    "MODERN_WRITE_TIMEOUT": str(max(writer.timeout for writer in args.modern.values())),
                    "OWN_TIMEOUT": str(TIMEOUT),
                },
                timeout=TIMEOUT,
            ),
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"function": self.function.name})
