"""The bridge: per entity a stream mapping to the legacy writer's own code, with a user, a quarantine and alarms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components import policies
from components.adopted import ClusterReference, TableReference
from components.function import METRICS, Function, FunctionArgs, FunctionDefaults, Invocable
from components.settings import PROJECT, SettingsError


@dataclass(frozen=True, kw_only=True)
class FailureBucketArgs:
    """What the bucket is; outside production it can be destroyed with its contents."""

    production: bool
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class FailureBucket(pulumi.ComponentResource):
    def __init__(self, name: str, args: FailureBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:bridge:FailureBucket", name, None, opts)
        self.bucket = aws.s3.Bucket(
            f"{name}-bucket",
            force_destroy=not args.production,
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.production,  # why: what is in it is nowhere else once the stream has forgotten it
            ),
        )
        child = pulumi.ResourceOptions(parent=self)
        aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=self.bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encrypted",
            bucket=self.bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=child,
        )
        self.register_outputs({"bucket": self.bucket.id})


BATCH_TIMEOUT = 120  # seconds; a thousand large records take a few
# Of a bridge that calls legacy's own function. A larger batch gains nothing, since each change is a call of its own; a
# hundred keys are ten rounds of ten calls. What a batch has reached stays, so one that ends early goes on where it was.
REPLAY_BATCH = 100  # records
REPLAY_WINDOW = 0  # seconds to gather: there is nothing to coalesce
LONGEST_CALL = 300  # seconds that legacy's function may take: one call and what is around it must fit into 15 minutes
LONGEST_TIMEOUT = 900  # seconds; Lambda's own limit
INSTALL_TIMEOUT = 300  # seconds; an index on a large table takes its time
SESSION_TIMEOUT = 60  # seconds; functions/aws/session_function.py waits for a little longer
LATE = 15 * 60  # seconds of iterator age after which an operator should look


@dataclass(frozen=True, kw_only=True)
class StreamBridgeArgs:
    """What a bridge is.

    Attributes:
        tables: the modern tables by entity.
        replays: legacy's own write functions, of the entities whose changes they bring to Aurora.
        cluster: the legacy database.
        master_secret_arn: the user that the install function works as.
        batch_size: records.
        window_seconds: how long a batch may gather.
        parallelization: batches of one shard at a time; records of one key stay in order.
        max_record_age_seconds: when a record that keeps failing goes to the failure bucket.
        alarm_topic_arn: the SNS topic that receives the alarms; empty for none.
    """

    tables: Mapping[str, TableReference]
    replays: Mapping[str, Invocable]
    cluster: ClusterReference
    master_secret_arn: pulumi.Input[str]
    batch_size: int
    window_seconds: int
    parallelization: int
    max_record_age_seconds: int
    alarm_topic_arn: str
    production: bool
    defaults: FunctionDefaults


@dataclass(frozen=True, kw_only=True)
class BridgeEntity:
    writer: Function
    mapping: aws.lambda_.EventSourceMapping


@dataclass(frozen=True)
class Alarm:
    """One alarm on a writer: its metric must stay at or under the threshold for all but `minutes` minutes.

    Attributes:
        own: the metric is the function's own, not Lambda's.
    """

    name: str
    says: str
    metric: str
    statistic: str
    threshold: float
    minutes: int
    own: bool = False


class StreamBridge(pulumi.ComponentResource):
    """Writers and stream mappings by entity in `entities`; `install` prepares the legacy databases.

    `session` runs what it must not, or cannot, send by the Data API; None if functions connect to the database.
    """

    def __init__(self, name: str, args: StreamBridgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:bridge:StreamBridge", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.secret = aws.secretsmanager.Secret(
            f"{name}-user",
            description="The bridge's MySQL user; the install function draws its password",
            tags=args.defaults.tags,
            opts=self._child,
        )
        self.failures = FailureBucket(
            f"{name}-failures", FailureBucketArgs(production=args.production, tags=args.defaults.tags), self._child
        )
        self.quarantine = self._quarantine()
        self.session = None if args.cluster.direct else self._session()
        self.install = self._install()
        self.entities = {each: self._entity(each, table) for each, table in args.tables.items()}
        self.register_outputs({"secret_arn": self.secret.arn, "quarantine": self.quarantine.name})

    def _quarantine(self) -> aws.dynamodb.Table:
        args = self._args
        return aws.dynamodb.Table(
            f"{self._name}-quarantine",
            billing_mode="PAY_PER_REQUEST",
            hash_key="entity",
            range_key="item_key",
            attributes=[{"name": "entity", "type": "S"}, {"name": "item_key", "type": "S"}],
            point_in_time_recovery={"enabled": True},
            deletion_protection_enabled=args.production,
            tags=args.defaults.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.production,  # why: it names the records that Aurora does not have
            ),
        )

    def _session(self) -> Function:
        cluster = self._args.cluster
        args = FunctionArgs(
            handler="functions.install.session.handler",
            defaults=self._args.defaults,
            statements=[],
            variables=cluster.endpoint,
            timeout=SESSION_TIMEOUT,
        )
        return Function(f"{self._name}-session", cluster.within(args), self._child)

    def _install(self) -> Function:
        args, cluster = self._args, self._args.cluster
        by_token = [policies.connect(cluster.token_arn)] if cluster.token_arn else []
        rights = [
            *([policies.invoke([self.session.arn])] if self.session else []),
            *cluster.rights(args.master_secret_arn, transactions=True),
            *policies.make_account(self.secret.arn),
            *by_token,
        ]
        variables = {
            **cluster.variables(args.master_secret_arn, self.secret.arn),
            "BRIDGE_SECRET_ARN": self.secret.arn,
            **({"SESSION_FUNCTION": self.session.name} if self.session else {}),
        }
        return self._function("install", "functions.install.handler.handler", rights, variables, INSTALL_TIMEOUT)

    def _entity(self, entity: str, table: TableReference) -> BridgeEntity:
        args, replay = self._args, self._args.replays.get(entity)
        if replay and replay.timeout > LONGEST_CALL:
            problem = f"expected a timeout of {LONGEST_CALL} seconds at most for bridge = replay, got {replay.timeout}"
            raise SettingsError([f"{PROJECT}:adopt.entities.{entity}.legacyWrites: {problem}"])
        rights = [
            *args.cluster.rights(self.secret.arn, transactions=True, bridge=True),
            *([policies.invoke([replay.arn])] if replay else []),
            policies.read_stream(table.stream_arn),
            policies.look_items_up(table.arn),
            policies.quarantine_items(self.quarantine.arn),
            *policies.put_failures(self.failures.bucket.arn),
        ]
        variables = {
            **args.cluster.variables(self.secret.arn, self.secret.arn),
            "ENTITY": entity,
            "QUARANTINE_TABLE": self.quarantine.name,
            **({"REPLAY_FUNCTION": replay.name, "REPLAY_TIMEOUT": str(replay.timeout)} if replay else {}),
        }
        timeout = min(LONGEST_TIMEOUT, BATCH_TIMEOUT + 2 * replay.timeout) if replay else BATCH_TIMEOUT
        writer = self._function(f"{entity}-writer", "functions.bridge.handler.handler", rights, variables, timeout)
        self._alarms(entity, writer)
        return BridgeEntity(writer=writer, mapping=self._mapping(entity, table, writer))

    def _mapping(self, entity: str, table: TableReference, writer: Function) -> aws.lambda_.EventSourceMapping:
        args, replayed = self._args, entity in self._args.replays
        return aws.lambda_.EventSourceMapping(
            f"{self._name}-{entity}-mapping",
            event_source_arn=table.stream_arn,
            function_name=writer.arn,
            starting_position="TRIM_HORIZON",  # why: LATEST can miss records while the mapping is being created
            batch_size=min(args.batch_size, REPLAY_BATCH) if replayed else args.batch_size,
            maximum_batching_window_in_seconds=REPLAY_WINDOW if replayed else args.window_seconds,
            parallelization_factor=args.parallelization,
            bisect_batch_on_function_error=True,
            maximum_retry_attempts=-1,
            maximum_record_age_in_seconds=args.max_record_age_seconds,
            # why S3: it keeps the whole payload; SQS and SNS keep a pointer that the stream forgets
            destination_config={"on_failure": {"destination_arn": self.failures.bucket.arn}},
            # why no filter: whether copy made a change shows only in both images, and a filter sees one
            tags=args.defaults.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.production,  # why: a new one would begin elsewhere in the stream
                ignore_changes=["enabled"],  # why: `runbook complete` disables it; refreshing must not undo that
            ),
        )

    def _alarms(self, entity: str, writer: Function) -> None:
        late = min(LATE, self._args.max_record_age_seconds // 4)  # long before a record is dead-lettered
        topics = [self._args.alarm_topic_arn] if self._args.alarm_topic_arn else []
        alarms = (
            Alarm("late", "The bridge is late", "IteratorAge", "Maximum", late * 1000, minutes=1),
            Alarm("failing", "The bridge keeps failing", "Errors", "Sum", 0, minutes=5),
            Alarm("quarantined", "Records are in quarantine", "BridgeQuarantined", "Sum", 0, minutes=1, own=True),
        )
        for alarm in alarms:
            aws.cloudwatch.MetricAlarm(
                f"{self._name}-{entity}-{alarm.name}",
                alarm_description=f"{alarm.says}: see `runbook status` and the function's log",
                namespace=METRICS if alarm.own else "AWS/Lambda",
                metric_name=alarm.metric,
                dimensions={"service": writer.service} if alarm.own else {"FunctionName": writer.name},
                statistic=alarm.statistic,
                period=60,
                evaluation_periods=alarm.minutes,
                threshold=alarm.threshold,
                comparison_operator="GreaterThanThreshold",
                treat_missing_data="notBreaching",
                alarm_actions=topics,
                ok_actions=topics,
                tags=self._args.defaults.tags,
                opts=self._child,
            )

    def _function(
        self,
        role: str,
        handler: str,
        rights: Sequence[dict[str, Any]],
        variables: Mapping[str, pulumi.Input[str]],
        timeout: int,
    ) -> Function:
        args = self._args
        return Function(
            f"{self._name}-{role}",
            args.cluster.placed(
                FunctionArgs(
                    handler=handler, defaults=args.defaults, statements=rights, variables=variables, timeout=timeout
                )
            ),
            self._child,
        )
