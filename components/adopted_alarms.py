"""The alarm on what other tools change in adopted systems: one small function, its schedule, an alarm an entity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from components import policies
from components.function import METRICS, Function, FunctionArgs, FunctionDefaults

TIMEOUT = 60  # seconds; a look takes a few calls an entity, and API Gateway may be busy
METRIC = "AdoptedChanged"  # of functions/adopted/handler.py
FAILED_LOOKS = 2  # in a row before the function's own alarm: API Gateway may be busy once


@dataclass(frozen=True, kw_only=True)
class StageReference:
    """The adopted REST API's stage: the API's id, and the stage's name."""

    api: str
    name: str


@dataclass(frozen=True, kw_only=True)
class CheckedEntity:
    """What is adopted of one entity.

    Attributes:
        reads, writes: the functions that answer, legacy's and modern's, by the names that the API calls them by.
        table, table_arn: the modern table; empty where it is not adopted.
    """

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    table: str
    table_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class AdoptedAlarmsArgs:
    """What is looked at, and how often.

    Attributes:
        entities: those of which something is adopted, by name.
        stage: None where only tables are adopted.
        functions: the adopted functions, each once; one that callers name by an alias with it and without.
        gate: the stack's gate, which the API calls, too; None while it is not deployed.
        after: what must be there before the first look, such as the right to call the gate.
        minutes: between two looks.
        alarm_topic_arn: the SNS topic that receives the alarms; empty for none.
    """

    entities: Mapping[str, CheckedEntity]
    stage: StageReference | None
    functions: Sequence[str]
    gate: Function | None
    after: Sequence[pulumi.Resource]
    journal: aws.dynamodb.Table
    minutes: int
    region: str
    account: str
    partition: str
    alarm_topic_arn: str
    defaults: FunctionDefaults


class AdoptedAlarms(pulumi.ComponentResource):
    """The function, its schedule with a role, an alarm for each entity, and one on the function's own errors."""

    def __init__(self, name: str, args: AdoptedAlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:adopted:AdoptedAlarms", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.function = self._function()
        self._schedule()
        for entity in args.entities:
            self._changed(entity)
        self._alarm(
            f"{name}-failing",
            "What streamback adopted cannot be looked at: see the function's log, and run `runbook preflight --quick`",
            FAILED_LOOKS,
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions={"FunctionName": self.function.name},
            statistic="Sum",
        )
        self.register_outputs({"function": self.function.name})

    def _function(self) -> Function:
        args = self._args
        tables = [each.table_arn for each in args.entities.values() if each.table]
        return Function(
            f"{self._name}-check",
            FunctionArgs(
                handler="functions.adopted.handler.handler",
                defaults=args.defaults,
                statements=[
                    policies.look_items_up(args.journal.arn),
                    *([policies.describe_tables(tables)] if tables else []),
                    *(self._stage_rights(args.stage) if args.stage else []),
                ],
                variables={"JOURNAL_TABLE": args.journal.name},
                timeout=TIMEOUT,
            ),
            self._child,
        )

    def _stage_rights(self, stage: StageReference) -> list[dict[str, Any]]:
        args = self._args
        functions = f"arn:{args.partition}:lambda:{args.region}:{args.account}:function"
        arns = [f"{functions}:{name}" for name in args.functions]
        return [
            policies.read_stage(stage.api, stage.name, args.region, args.partition),
            policies.read_callers([*arns, *([args.gate.arn] if args.gate else [])]),
        ]

    def _schedule(self) -> None:
        args = self._args
        role = aws.iam.Role(
            f"{self._name}-scheduler",
            assume_role_policy=pulumi.Output.json_dumps(policies.trust("scheduler.amazonaws.com")),
            permissions_boundary=args.defaults.boundary_arn or None,
            tags=args.defaults.tags,
            opts=self._child,
        )
        aws.iam.RolePolicy(
            f"{self._name}-scheduler-rights",
            role=role.name,
            policy=policies.document([policies.invoke([self.function.arn])]),
            opts=self._child,
        )
        aws.scheduler.Schedule(
            f"{self._name}-schedule",
            schedule_expression=f"rate({args.minutes} minute{'' if args.minutes == 1 else 's'})",
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": self.function.arn,
                "role_arn": role.arn,
                # why here: a function's environment has 4 KB, too little for the functions of many entities
                "input": pulumi.Output.json_dumps(self._event()),
                "retry_policy": {"maximum_retry_attempts": 0, "maximum_event_age_in_seconds": 60},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.after)),
        )

    def _event(self) -> dict[str, Any]:
        args = self._args
        gate = [args.gate.name] if args.gate else []
        place = f"arn:{args.partition}:execute-api:{args.region}:{args.account}"
        return {
            "stage": f"{place}:{args.stage.api}/{args.stage.name}" if args.stage else "",
            "entities": {
                name: {"reads": list(each.reads), "writes": [*each.writes, *gate], "table": each.table}
                for name, each in args.entities.items()
            },
        }

    def _changed(self, entity: str) -> None:
        self._alarm(
            f"{self._name}-{entity}-changed",
            f"Another tool has changed what streamback adopted for {entity}. See what with `runbook preflight --quick "
            f"--entity {entity}`, put it right with `runbook adopt --entity {entity} --execute`",
            1,
            namespace=METRICS,
            metric_name=METRIC,
            dimensions={"service": self.function.service, "entity": entity},
            statistic="Maximum",
        )

    def _alarm(self, name: str, says: str, looks: int, **metric: Any) -> None:
        """An alarm on a metric that must be 0; `looks` in a row must find it higher."""
        topics = [self._args.alarm_topic_arn] if self._args.alarm_topic_arn else []
        aws.cloudwatch.MetricAlarm(
            name,
            alarm_description=says,
            period=60 * self._args.minutes,  # of one look: with a shorter one the alarm would end between two
            evaluation_periods=looks,
            threshold=0,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=topics,
            ok_actions=topics,
            tags=self._args.defaults.tags,
            opts=self._child,
            **metric,
        )
