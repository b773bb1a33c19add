"""The table that holds, per entity, phase, operator lock and audit trail."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class JournalTableArgs:
    """What the journal is; `protect` keeps it from being deleted by accident."""

    protect: bool
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class JournalTable(pulumi.ComponentResource):
    """A DynamoDB table with the keys `entity` and `record`."""

    def __init__(self, name: str, args: JournalTableArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:runbook:Journal", name, None, opts)
        self.table = aws.dynamodb.Table(
            f"{name}-table",
            billing_mode="PAY_PER_REQUEST",
            hash_key="entity",
            range_key="record",
            attributes=[{"name": "entity", "type": "S"}, {"name": "record", "type": "S"}],
            point_in_time_recovery={"enabled": True},
            deletion_protection_enabled=args.protect,
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,  # why: without it no command knows which system is the source of truth
            ),
        )
        self.register_outputs({"table": self.table.name})
