"""The legacy system: Aurora MySQL Serverless v2 behind the Data API, and the functions init, read and write."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import policies
from components.function import Function, FunctionArgs, FunctionDefaults
from components.network import Network, NetworkArgs

ENGINE, FAMILY = "aurora-mysql", "aurora-mysql8.0"
MASTER = "streamback_admin"
BACKUP_DAYS = {True: 14, False: 1}  # by production


@dataclass(frozen=True, kw_only=True)
class LegacySystemArgs:
    """What the legacy system is; capacities are Aurora capacity units, the pause is in seconds."""

    zones: tuple[str, str]
    engine_version: str
    min_capacity: float
    max_capacity: float
    auto_pause_seconds: int
    production: bool
    defaults: FunctionDefaults


class LegacySystem(pulumi.ComponentResource):
    """A cluster with its network, and three functions: `init`, `read` and `write`."""

    def __init__(self, name: str, args: LegacySystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:legacy:LegacySystem", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.network = Network(f"{name}-network", NetworkArgs(zones=args.zones, tags=args.defaults.tags), self._child)
        self.cluster = self._cluster(name)
        self.cluster_arn = self.cluster.arn
        self.secret_arn = self.cluster.master_user_secrets[0].secret_arn
        self.init = self._function(f"{name}-init", "functions.legacy.init.handler")
        self.read = self._function(f"{name}-read", "functions.legacy.read.handler")
        self.write = self._function(f"{name}-write", "functions.legacy.write.handler")
        self.register_outputs({"cluster_arn": self.cluster_arn, "secret_arn": self.secret_arn})

    def _cluster(self, name: str) -> aws.rds.Cluster:
        args = self._args
        subnets = aws.rds.SubnetGroup(
            f"{name}-subnets", subnet_ids=self.network.subnet_ids, tags=args.defaults.tags, opts=self._child
        )
        parameters = aws.rds.ClusterParameterGroup(
            f"{name}-parameters",
            family=FAMILY,
            description="Lets streamback make triggers while the binary log is on",
            parameters=[{"name": "log_bin_trust_function_creators", "value": "1"}],
            tags=args.defaults.tags,
            opts=self._child,
        )
        cluster = aws.rds.Cluster(
            f"{name}-cluster",
            engine=ENGINE,
            engine_mode="provisioned",
            engine_version=args.engine_version,
            serverlessv2_scaling_configuration=self._scaling(),
            enable_http_endpoint=True,  # without it every Data API call fails
            master_username=MASTER,
            manage_master_user_password=True,
            storage_encrypted=True,
            db_subnet_group_name=subnets.name,
            vpc_security_group_ids=[self.network.security_group_id],
            db_cluster_parameter_group_name=parameters.name,
            backup_retention_period=BACKUP_DAYS[args.production],
            copy_tags_to_snapshot=True,
            apply_immediately=not args.production,  # in production in the maintenance window
            deletion_protection=args.production,
            skip_final_snapshot=not args.production,
            # a second destroy fails on the first one's snapshot before it deletes anything: rename that snapshot then
            final_snapshot_identifier=f"{name}-final" if args.production else None,
            tags=args.defaults.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.production,  # why: the legacy data, and the way back
            ),
        )
        aws.rds.ClusterInstance(
            f"{name}-instance",
            cluster_identifier=cluster.id,
            engine=aws.rds.EngineType.AURORA_MYSQL,
            engine_version=args.engine_version,
            instance_class="db.serverless",
            auto_minor_version_upgrade=False,  # the version is a setting, which would undo the upgrade
            copy_tags_to_snapshot=True,
            tags=args.defaults.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.production),  # why: no instance, no Data API
        )
        return cluster

    def _scaling(self) -> aws.rds.ClusterServerlessv2ScalingConfigurationArgsDict:
        args = self._args
        capacity: aws.rds.ClusterServerlessv2ScalingConfigurationArgsDict = {
            "min_capacity": args.min_capacity,
            "max_capacity": args.max_capacity,
        }
        if args.min_capacity == 0:
            capacity["seconds_until_auto_pause"] = args.auto_pause_seconds
        return capacity

    def _function(self, name: str, handler: str) -> Function:
        args = self._args
        return Function(
            name,
            FunctionArgs(
                handler=handler,
                defaults=args.defaults,
                statements=policies.sql(self.cluster_arn, self.secret_arn),
                variables={"CLUSTER_ARN": self.cluster_arn, "SECRET_ARN": self.secret_arn},
            ),
            self._child,
        )
