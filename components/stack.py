"""Composes the parts that a stack asks for, and exports what the runbook must know of them."""

from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws

from components import adopted, zones
from components.adopted import ApiReference, ClusterReference, TableReference
from components.adopted_alarms import AdoptedAlarms, AdoptedAlarmsArgs, CheckedEntity, StageReference
from components.adoption import MYSQL
from components.api import Api, ApiArgs, GatePermissions, Handlers
from components.bridge import StreamBridge, StreamBridgeArgs
from components.copy import Copy, CopyArgs
from components.delivery import Delivery, DeliveryArgs
from components.function import Function, FunctionArgs, FunctionDefaults, FunctionReference, archive, archive_with_mysql
from components.gate import Gate, GateArgs
from components.journal import JournalTable, JournalTableArgs
from components.legacy import LegacySystem, LegacySystemArgs
from components.modern import ModernSystem, ModernSystemArgs
from components.ranges import RangeMachine, RangeMachineArgs
from components.rights import StackNames
from components.routes import routes
from components.settings import PARTS, Settings
from functions.domain import names

STATEMENTS_TIMEOUT = 90  # seconds; functions/aws/statement_function.py waits for a little longer


class Streamback:
    """Everything of one stack; `outputs` is what it exports."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._name = f"streamback-{pulumi.get_stack()}"
        self._zones = () if settings.adopt.cluster else zones.choose(settings)  # first, because it may refuse
        self._region = aws.get_region().region
        self._partition = aws.get_partition()
        self._adopted_api = self._look_api_up()
        self._gate_rights: list[GatePermissions] = []  # to call it, for an adopted API
        self._tags = {"streamback:stack": pulumi.get_stack(), **settings.tags}
        layer = settings.powertools_layer_arn.replace("{region}", self._region)
        self._defaults = FunctionDefaults(
            code=archive(folder, settings.entities_file),
            layers=[layer] if layer else [],
            log_retention_days=settings.log_retention_days,
            boundary_arn=settings.permissions_boundary_arn,
            tags=self._tags,
        )
        self._mysql_code = archive_with_mysql(folder, settings.entities_file, settings.database_ca_file)
        self.journal = JournalTable(
            f"{self._name}-journal", JournalTableArgs(protect=settings.production, tags=self._tags)
        )
        self.legacy = self._legacy()
        self.modern = self._modern() if "modern" in settings.parts else None
        self.bridge = self._bridge(self.modern) if self.modern and "bridge" in settings.parts else None
        self.statements = self._statements()
        self.copy = self._copy(self.modern, self.bridge) if self.modern and self.bridge else None
        self.ranges = self._ranges(self.copy) if self.copy else None
        self.gate = self._gate(self.modern) if self.modern and self.bridge else None
        self.api = self._public_api()
        self._alarm_on_adopted()
        self.delivery = self._delivery() if settings.repository else None
        self.outputs = self._outputs()

    def _legacy(self) -> LegacySystem:
        settings = self._settings
        return LegacySystem(
            f"{self._name}-legacy",
            LegacySystemArgs(
                entities=list(settings.entities),
                adopted=self._adopted_cluster(),
                functions=self._functions("legacy"),
                zones=self._zones,
                engine_version=settings.engine_version,
                min_capacity=settings.min_capacity,
                max_capacity=settings.max_capacity,
                auto_pause_seconds=settings.auto_pause_seconds,
                production=settings.production,
                defaults=self._defaults,
                mysql_code=self._mysql_code,
            ),
        )

    def _adopted_cluster(self) -> ClusterReference | None:
        given = self._settings.adopt.cluster
        return adopted.cluster(given, self._region, self._mysql_code) if given else None

    def _statements(self) -> Function | None:
        """The function that runs the runbook's statements; None where there is a Data API."""
        cluster, bridge = self.legacy.cluster, self.bridge
        if not cluster.direct:
            return None
        args = FunctionArgs(
            handler="functions.install.requests.handler",
            defaults=self._defaults,
            statements=[
                *cluster.rights(cluster.secret_arn),
                *(cluster.rights(bridge.secret.arn, bridge=True) if bridge else []),
            ],
            variables=cluster.variables(cluster.secret_arn, bridge.secret.arn if bridge else None),
            timeout=STATEMENTS_TIMEOUT,
        )
        return Function(f"{self._name}-statements", cluster.placed(args))

    def _modern(self) -> ModernSystem:
        settings = self._settings
        args = ModernSystemArgs(
            entities=settings.entities,
            table_prefix=settings.table_prefix,
            journal=self.journal.table,
            legacy=self.legacy.writers,
            adopted=self._tables(),
            functions=self._functions("modern"),
            production=settings.production,
            defaults=self._defaults,
        )
        return ModernSystem(f"{self._name}-modern", args)

    def _bridge(self, modern: ModernSystem) -> StreamBridge:
        settings, cluster = self._settings, self.legacy.cluster
        return StreamBridge(
            f"{self._name}-bridge",
            StreamBridgeArgs(
                tables={name: entity.table for name, entity in modern.entities.items()},
                replays={name: self.legacy.writers[name] for name, each in settings.entities.items() if each.replayed},
                cluster=cluster,
                master_secret_arn=cluster.secret_arn,
                batch_size=settings.bridge_batch_size,
                window_seconds=settings.bridge_window_seconds,
                parallelization=settings.bridge_parallelization,
                max_record_age_seconds=settings.bridge_max_record_age_seconds,
                alarm_topic_arn=settings.alarm_topic_arn,
                production=settings.production,
                defaults=self._defaults,
            ),
        )

    def _copy(self, modern: ModernSystem, bridge: StreamBridge) -> Copy:
        return Copy(
            f"{self._name}-copy",
            CopyArgs(
                tables={name: entity.table for name, entity in modern.entities.items()},
                cluster=self.legacy.cluster,
                secret_arn=bridge.secret.arn,
                journal=self.journal.table,
                quarantine=bridge.quarantine,
                alarm_topic_arn=self._settings.alarm_topic_arn,
                defaults=self._defaults,
            ),
        )

    def _ranges(self, copy: Copy) -> RangeMachine:
        defaults = self._defaults
        return RangeMachine(
            f"{self._name}-ranges",
            RangeMachineArgs(worker=copy.worker, boundary_arn=defaults.boundary_arn, tags=defaults.tags),
        )

    def _gate(self, modern: ModernSystem) -> Gate:
        return Gate(
            f"{self._name}-gate",
            GateArgs(
                legacy=self.legacy.writers,
                modern={name: entity.write for name, entity in modern.entities.items()},
                journal=self.journal.table,
                defaults=self._defaults,
            ),
        )

    def _functions(self, system: str) -> dict[str, tuple[FunctionReference, FunctionReference]]:
        """The adopted functions of a system, as (reads, writes) by entity."""
        found: dict[str, tuple[FunctionReference, FunctionReference]] = {}
        for entity in self._settings.entities:
            given = self._settings.adopt.entity(entity)
            reads, writes = getattr(given, f"{system}_reads"), getattr(given, f"{system}_writes")
            if reads and writes:
                place = f"entities.{entity}.{system}"
                found[entity] = (adopted.function(f"{place}Reads", reads), adopted.function(f"{place}Writes", writes))
        return found

    def _tables(self) -> dict[str, TableReference]:
        settings, streams = self._settings, "bridge" in self._settings.parts
        given = {name: (settings.adopt.entity(name).table, entity) for name, entity in settings.entities.items()}
        return {
            name: adopted.table(f"entities.{name}.table", table, entity.modern.key, streams=streams)
            for name, (table, entity) in given.items()
            if table
        }

    def _look_api_up(self) -> ApiReference | None:
        settings = self._settings
        if settings.adopt.api is None:
            return None
        contracts = {name: entity.contract for name, entity in settings.entities.items() if entity.contract}
        return adopted.api(settings.adopt.api, contracts, self._region, self._partition.dns_suffix)

    def _public_api(self) -> ApiReference:
        """The API that clients call; an adopted one gets no more than the right to call the gate."""
        found = self._adopted_api
        if found is None:
            return self._api().reference
        if self.gate:
            contracts = [each.contract for each in self._settings.entities.values() if each.contract]
            methods = {operation.method for contract in contracts for operation in contract.writes}
            arn = f"{self._arn('execute-api')}:{found.id}/{found.stage}"
            self._gate_rights = [GatePermissions(f"{self._name}-gate-permissions", self.gate.function, arn, methods)]
        return found

    def _arn(self, service: str) -> str:
        """The beginning of the ARNs of a service's resources."""
        return f"arn:{self._partition.partition}:{service}:{self._region}:{aws.get_caller_identity().account_id}"

    def _alarm_on_adopted(self) -> None:
        """The alarm on other tools' deployments; nothing where neither an API nor a table is adopted."""
        settings, adopts = self._settings, self._settings.adopt
        entities = {name: self._checked(name) for name in settings.entities if adopts.api or adopts.entity(name).table}
        if not (self.modern and entities and settings.adopted_check_minutes):
            return
        stage = StageReference(api=adopts.api.id, name=adopts.api.stage) if adopts.api else None
        AdoptedAlarms(
            f"{self._name}-adopted",
            AdoptedAlarmsArgs(
                entities=entities,
                stage=stage,
                functions=adopts.functions,
                gate=self.gate.function if self.gate else None,
                after=self._gate_rights,
                journal=self.journal.table,
                minutes=settings.adopted_check_minutes,
                region=self._region,
                account=aws.get_caller_identity().account_id,
                partition=self._partition.partition,
                alarm_topic_arn=settings.alarm_topic_arn,
                defaults=self._defaults,
            ),
        )

    def _checked(self, entity: str) -> CheckedEntity:
        given = self._settings.adopt.entity(entity)
        table = self.modern.entities[entity].table if self.modern and given.table else None
        return CheckedEntity(
            reads=tuple(filter(None, (given.legacy_reads, given.modern_reads))),
            writes=tuple(filter(None, (given.legacy_writes, given.modern_writes))),
            table=given.table,
            table_arn=table.arn if table else "",
        )

    def _api(self) -> Api:
        settings, modern = self._settings, self.modern.entities if self.modern else {}
        handlers = {
            name: Handlers(
                legacy_read=self.legacy.readers[name],
                legacy_write=self.legacy.writers[name],
                modern_read=modern[name].read if name in modern else None,
                modern_write=modern[name].write if name in modern else None,
            )
            for name in settings.entities
        }
        return Api(
            f"{self._name}-api",
            ApiArgs(
                routes=routes(settings.entities, settings.parts),
                init=self.legacy.own.init if self.legacy.own else None,
                gate=self.gate.function if self.gate else None,
                handlers=handlers,
                auth=settings.api_auth,
                production=settings.production,
                region=self._region,
                account=aws.get_caller_identity().account_id,
                partition=self._partition.partition,
                tags=self._tags,
            ),
        )

    def _delivery(self) -> Delivery:
        settings = self._settings
        named = StackNames(
            stack=pulumi.get_stack(),
            account=aws.get_caller_identity().account_id,
            region=self._region,
            partition=self._partition.partition,
            tables=[
                settings.adopt.entity(name).table or f"{settings.table_prefix}{each.modern.table}"
                for name, each in settings.entities.items()
            ],
            functions=settings.adopt.functions,
            clusters=settings.adopt.clusters,
            instances=settings.adopt.instances,
            secrets=settings.adopt.secrets,
            boundary=settings.permissions_boundary_arn,
            state_bucket=settings.state_bucket,
            state_key=settings.state_key_arn,
        )
        return Delivery(
            f"{self._name}-delivery",
            DeliveryArgs(
                repository=settings.repository,
                provider_arn=settings.oidc_provider_arn,
                operators=settings.operators,
                readers=settings.readers,
                named=named,
                adopts=bool(settings.adopt),
                tags=self._tags,
            ),
        )

    def _outputs(self) -> dict[str, Any]:
        settings, bridge = self._settings, self.bridge
        outputs: dict[str, Any] = {
            "stack": pulumi.get_stack(),
            "region": self._region,
            "production": settings.production,
            "parts": [part for part in PARTS if part in settings.parts],
            "apiUrl": self.api.url,
            "apiId": self.api.id,
            "apiAdopted": self._adopted_api is not None,
            "stageName": self.api.stage,
            "apiAuth": settings.api_auth,
            "mapping": settings.entities.raw,
            "journalTable": self.journal.table.name,
            "clusterArn": self.legacy.cluster.arn,
            "masterSecretArn": self.legacy.cluster.secret_arn,
            "entities": {name: self._entity_outputs(name) for name in settings.entities},
        }
        if self.legacy.own:
            outputs |= {
                "legacyInitFunction": self.legacy.own.init.name,
                "legacyReadFunction": self.legacy.own.read.name,
                "legacyWriteFunction": self.legacy.own.write.name,
            }
        if self.copy and self.gate:
            outputs |= {"copyFunction": self.copy.worker.name, "gateFunction": self.gate.function.name}
        if self.statements:
            outputs |= {"transport": MYSQL, "statementFunction": self.statements.name}
        if self.ranges:
            outputs["rangeMachineArn"] = self.ranges.arn
        if bridge:
            outputs |= {
                "quarantineTable": bridge.quarantine.name,
                "bridgeSecretArn": bridge.secret.arn,
                "bridgeInstallFunction": bridge.install.name,
                **({"sessionFunction": bridge.session.name} if bridge.session else {}),
                "failureBucket": bridge.failures.bucket.bucket,
            }
        return outputs | (self.delivery.outputs if self.delivery else {})

    def _entity_outputs(self, name: str) -> dict[str, Any]:
        outputs: dict[str, Any] = {
            "readsVariable": names.reads_variable(name),
            "writesVariable": names.writes_variable(name),
        }
        if self._settings.adopt.entity(name).legacy_reads:
            outputs |= {
                "legacyReadFunction": self.legacy.readers[name].name,
                "legacyWriteFunction": self.legacy.writers[name].name,
                "legacyWriteTimeout": self.legacy.writers[name].timeout,
            }
        if self.modern:
            modern = self.modern.entities[name]
            outputs |= {
                "modernTable": modern.table.name,
                "tableAdopted": bool(self._settings.adopt.entity(name).table),
                "streamArn": modern.table.stream_arn,
                "readFunction": modern.read.name,
                "writeFunction": modern.write.name,
            }
        if self.bridge:
            bridge = self.bridge.entities[name]
            outputs |= {"bridgeFunction": bridge.writer.name, "bridgeMappingId": bridge.mapping.uuid}
        if self.copy:
            outputs["copySchedules"] = self.copy.schedules[name]
        return outputs
