"""Copy: the worker that takes keys from Aurora's queue and writes their items, and the schedules that keep it alive."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import policies
from components.adopted import ClusterReference, TableReference
from components.function import Function, FunctionArgs, FunctionDefaults

TIMEOUT = 300  # seconds; a worker hands over to its successor shortly before


@dataclass(frozen=True, kw_only=True)
class CopyArgs:
    """What copy is.

    Attributes:
        tables: the modern tables by entity.
        cluster: the legacy database.
        secret_arn: the bridge's user, which the triggers on the legacy tables let pass unseen.
        journal: where copy's state and the lanes' leases are.
        quarantine: for rows that no item can hold.
        alarm_topic_arn: the SNS topic that receives the alarm; empty for none.
    """

    tables: Mapping[str, TableReference]
    cluster: ClusterReference
    secret_arn: pulumi.Input[str]
    journal: aws.dynamodb.Table
    quarantine: aws.dynamodb.Table
    alarm_topic_arn: str
    defaults: FunctionDefaults


class Copy(pulumi.ComponentResource):
    """One `worker` for all entities; a schedule for each, which calls it for every lane.

    `schedules` are the names of an entity's schedules, which the runbook enables while copy runs.
    """

    def __init__(self, name: str, args: CopyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:copy:Copy", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.worker = self._worker()
        self._hand_over()
        self._alarm()
        role = self._scheduler()
        self.schedules = {entity: [self._schedule(entity, role).name] for entity in args.tables}
        self.register_outputs({"worker": self.worker.name})

    def _worker(self) -> Function:
        args, name = self._args, f"{self._name}-worker"
        tables = {entity: table.name for entity, table in args.tables.items()}
        rights = [
            *args.cluster.rights(args.secret_arn, bridge=True),
            policies.copy_items([table.arn for table in args.tables.values()]),
            policies.keep_records(args.journal.arn),
            policies.put_items(args.quarantine.arn),
        ]
        return Function(
            name,
            args.cluster.placed(
                FunctionArgs(
                    handler="functions.copy.worker.handler",
                    defaults=args.defaults,
                    statements=rights,
                    variables={
                        **args.cluster.variables(args.secret_arn, args.secret_arn),
                        "JOURNAL_TABLE": args.journal.name,
                        "QUARANTINE_TABLE": args.quarantine.name,
                        "TABLES": pulumi.Output.json_dumps(tables),
                    },
                    timeout=TIMEOUT,
                )
            ),
            self._child,
        )

    def _hand_over(self) -> None:
        """Let a worker call its successor: a policy of its own, since its role is older than the function's ARN."""
        aws.iam.RolePolicy(
            f"{self._name}-hand-over",
            role=self.worker.role.name,
            policy=policies.document([policies.invoke([self.worker.arn])]),
            opts=self._child,
        )
        aws.lambda_.FunctionRecursionConfig(
            f"{self._name}-recursion",
            function_name=self.worker.name,
            recursive_loop="Allow",  # why: Lambda stops a chain of calls after 16, here after 80 minutes
            opts=self._child,
        )

    def _scheduler(self) -> aws.iam.Role:
        role = aws.iam.Role(
            f"{self._name}-scheduler",
            assume_role_policy=pulumi.Output.json_dumps(policies.trust("scheduler.amazonaws.com")),
            permissions_boundary=self._args.defaults.boundary_arn or None,
            tags=self._args.defaults.tags,
            opts=self._child,
        )
        aws.iam.RolePolicy(
            f"{self._name}-scheduler-rights",
            role=role.name,
            policy=policies.document([policies.invoke([self.worker.arn])]),
            opts=self._child,
        )
        return role

    def _schedule(self, entity: str, role: aws.iam.Role) -> aws.scheduler.Schedule:
        """The safety net: a worker that died has a successor within a minute. One with nothing to do ends at once."""
        return aws.scheduler.Schedule(
            f"{self._name}-{entity}",
            state="DISABLED",  # a stack without a copy calls nothing
            schedule_expression="rate(1 minute)",
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": self.worker.arn,
                "role_arn": role.arn,
                # why the first lane: so its schedule from before ADR 0029 is left as it is, and enabled if it is
                "input": json.dumps({"entity": entity, "lane": 0}),
                "retry_policy": {"maximum_retry_attempts": 0, "maximum_event_age_in_seconds": 60},
            },
            opts=pulumi.ResourceOptions(
                parent=self,
                aliases=[pulumi.Alias(name=f"{self._name}-{entity}-0")],  # why: each lane had one before 0029
                ignore_changes=["state"],  # why: `copy start` enables it, and `copy stop` and `complete` disable it
            ),
        )

    def _alarm(self) -> None:
        topics = [self._args.alarm_topic_arn] if self._args.alarm_topic_arn else []
        aws.cloudwatch.MetricAlarm(
            f"{self._name}-failing",
            alarm_description="Copy keeps failing: see `runbook copy status` and the function's log",
            namespace="AWS/Lambda",
            metric_name="Errors",
            dimensions={"FunctionName": self.worker.name},
            statistic="Sum",
            period=60,
            evaluation_periods=5,
            threshold=0,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=topics,
            ok_actions=topics,
            tags=self._args.defaults.tags,
            opts=self._child,
        )
