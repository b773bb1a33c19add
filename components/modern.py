"""The modern system: per entity a DynamoDB table with a stream, and the functions read and write."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import policies
from components.adopted import TableReference
from components.function import Function, FunctionArgs, FunctionDefaults, FunctionReference, Invocable
from functions.domain.entities import Entities, Entity

TIMEOUT = 28  # seconds; a rollback waits as long for a request whose gate died, and 29 more


@dataclass(frozen=True, kw_only=True)
class ModernSystemArgs:
    """What the modern system is.

    Attributes:
        table_prefix: stands before every table's name.
        journal: where a writer that is called past the gate counts its requests.
        legacy: the writers that get such a request while legacy is the source of truth, by entity.
        adopted: tables that exist, by entity.
        functions: functions that exist, by entity, as (reads, writes).
    """

    entities: Entities
    table_prefix: str
    journal: aws.dynamodb.Table
    legacy: Mapping[str, Invocable]
    adopted: Mapping[str, TableReference]
    functions: Mapping[str, tuple[FunctionReference, FunctionReference]]
    production: bool
    defaults: FunctionDefaults


@dataclass(frozen=True, kw_only=True)
class ModernEntity:
    table: TableReference
    read: Invocable
    write: Invocable


class ModernSystem(pulumi.ComponentResource):
    """Tables and functions, by entity in `entities`."""

    def __init__(self, name: str, args: ModernSystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:modern:ModernSystem", name, None, opts)
        self._name = name
        self._args = args
        self.entities = {each: self._entity(entity) for each, entity in args.entities.items()}
        self.register_outputs({"tables": {each: made.table.name for each, made in self.entities.items()}})

    def _entity(self, entity: Entity) -> ModernEntity:
        table = self._args.adopted.get(entity.name) or self._created(entity)
        if found := self._args.functions.get(entity.name):
            return ModernEntity(table=table, read=found[0], write=found[1])
        legacy = self._args.legacy[entity.name]
        return ModernEntity(
            table=table,
            read=self._function(
                f"{entity.name}-read",
                FunctionArgs(
                    handler="functions.modern.read.handler",
                    defaults=self._args.defaults,
                    statements=[policies.read_items(table.arn)],
                    variables={"ENTITY": entity.name, "TABLE_NAME": table.name},
                    timeout=TIMEOUT,
                ),
            ),
            write=self._function(
                f"{entity.name}-write",
                FunctionArgs(
                    handler="functions.gate.modern_write.handler",
                    defaults=self._args.defaults,
                    statements=[
                        policies.write_items(table.arn),
                        policies.count_records(self._args.journal.arn),
                        policies.invoke([legacy.arn]),
                    ],
                    variables={
                        "ENTITY": entity.name,
                        "TABLE_NAME": table.name,
                        "JOURNAL_TABLE": self._args.journal.name,
                        "LEGACY_WRITE_FUNCTION": legacy.name,
                        "OWN_TIMEOUT": str(TIMEOUT),
                    },
                    timeout=TIMEOUT,
                ),
            ),
        )

    def _created(self, entity: Entity) -> TableReference:
        table = self._table(entity)
        return TableReference(name=table.name, arn=table.arn, stream_arn=table.stream_arn)

    def _table(self, entity: Entity) -> aws.dynamodb.Table:
        args = self._args
        return aws.dynamodb.Table(
            f"{self._name}-{entity.name}-table",
            name=f"{args.table_prefix}{entity.modern.table}",
            billing_mode="PAY_PER_REQUEST",
            hash_key=entity.modern.key,
            attributes=[{"name": entity.modern.key, "type": "S"}],
            stream_enabled=True,
            stream_view_type="NEW_AND_OLD_IMAGES",
            point_in_time_recovery={"enabled": True},
            deletion_protection_enabled=args.production,
            tags=args.defaults.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.production,  # why: after the cutover this is the source of truth
            ),
        )

    def _function(self, role: str, args: FunctionArgs) -> Function:
        return Function(f"{self._name}-{role}", args, pulumi.ResourceOptions(parent=self))
