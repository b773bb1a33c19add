"""The legacy system: Aurora MySQL Serverless v2 behind the Data API, and the functions init, read and write."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components.adopted import ClusterReference
from components.function import Function, FunctionArgs, FunctionDefaults, FunctionNetwork, FunctionReference, Invocable

CIDR = "10.0.0.0/24"
SUBNETS = ("10.0.0.0/26", "10.0.0.64/26")
PORT = 3306  # of Aurora MySQL


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    zones: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class Network(pulumi.ComponentResource):
    """A VPC with two isolated subnets; `subnet_ids` and `security_group_id` are for the cluster.

    `inside` is for a function that connects to it. From these subnets nothing else can be reached.
    """

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:network:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=CIDR,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={**args.tags, "Name": name},
            opts=child,
        )
        subnets = [
            aws.ec2.Subnet(
                f"{name}-subnet-{number}",
                vpc_id=vpc.id,
                cidr_block=block,
                availability_zone=zone,
                tags={**args.tags, "Name": f"{name}-{number}"},
                opts=child,
            )
            for number, (zone, block) in enumerate(zip(args.zones, SUBNETS, strict=True))
        ]
        clients = aws.ec2.SecurityGroup(
            f"{name}-clients",
            vpc_id=vpc.id,
            description="The function of streamback that connects to Aurora",
            egress=[{"protocol": "tcp", "from_port": PORT, "to_port": PORT, "cidr_blocks": [CIDR]}],
            tags=args.tags,
            opts=child,
        )
        group = aws.ec2.SecurityGroup(
            f"{name}-database",
            vpc_id=vpc.id,
            # why it still says "only": another text replaces the group
            description="Aurora of streamback: reached through the Data API only",
            ingress=[{"protocol": "tcp", "from_port": PORT, "to_port": PORT, "security_groups": [clients.id]}],
            tags=args.tags,
            opts=child,
        )
        self.subnet_ids = [subnet.id for subnet in subnets]
        self.security_group_id = group.id
        self.inside = FunctionNetwork(subnet_ids=self.subnet_ids, security_group_id=clients.id)
        self.register_outputs({"subnet_ids": self.subnet_ids, "security_group_id": self.security_group_id})


# MySQL's own default. Aurora's is empty: a value that does not fit would be cut without an error.
SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
ENGINE, FAMILY = "aurora-mysql", "aurora-mysql8.0"
MASTER = "streamback_admin"
BACKUP_DAYS = {True: 14, False: 1}  # by production


@dataclass(frozen=True, kw_only=True)
class LegacySystemArgs:
    """What the legacy system is; capacities are Aurora capacity units, the pause is in seconds.

    Attributes:
        adopted: the cluster that exists; None to create one.
        functions: the functions of each entity that exist, as (reads, writes); for the other entities there are three
            that the stack makes.
        mysql_code: the archive of functions that connect to a cluster which is created.
    """

    entities: Collection[str]
    adopted: ClusterReference | None
    functions: Mapping[str, tuple[FunctionReference, FunctionReference]]
    zones: tuple[str, ...]
    engine_version: str
    min_capacity: float
    max_capacity: float
    auto_pause_seconds: int
    production: bool
    defaults: FunctionDefaults
    mysql_code: pulumi.Archive


@dataclass(frozen=True, kw_only=True)
class LegacyFunctions:
    """The functions that speak streamback's own API."""

    init: Function
    read: Function
    write: Function


class LegacySystem(pulumi.ComponentResource):
    """A cluster with its network, and functions: created, or adopted.

    `cluster` says how it is reached. `readers` and `writers` are by entity; `own` are those that the stack made.
    """

    def __init__(self, name: str, args: LegacySystemArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:legacy:LegacySystem", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.cluster = args.adopted or self._created(name)
        self.own: LegacyFunctions | None = None
        self.readers: Mapping[str, Invocable] = {entity: reads for entity, (reads, _) in args.functions.items()}
        self.writers: Mapping[str, Invocable] = {entity: writes for entity, (_, writes) in args.functions.items()}
        if made := [entity for entity in args.entities if entity not in args.functions]:
            self.own = LegacyFunctions(
                init=self._function(f"{name}-init", "functions.legacy.init.handler"),
                read=self._function(f"{name}-read", "functions.legacy.read.handler"),
                write=self._function(f"{name}-write", "functions.legacy.write.handler", transactions=True),
            )
            self.readers = {**self.readers, **dict.fromkeys(made, self.own.read)}
            self.writers = {**self.writers, **dict.fromkeys(made, self.own.write)}
        self.register_outputs({"cluster_arn": self.cluster.arn, "secret_arn": self.cluster.secret_arn})

    def _created(self, name: str) -> ClusterReference:
        args = self._args
        network = Network(f"{name}-network", NetworkArgs(zones=args.zones, tags=args.defaults.tags), self._child)
        cluster = self._cluster(name, network)
        return ClusterReference(
            arn=cluster.arn,
            secret_arn=cluster.master_user_secrets[0].secret_arn,
            host=cluster.endpoint,
            port=cluster.port,
            inside=network.inside,
            code=args.mysql_code,
        )

    def _cluster(self, name: str, network: Network) -> aws.rds.Cluster:
        args = self._args
        subnets = aws.rds.SubnetGroup(
            f"{name}-subnets", subnet_ids=network.subnet_ids, tags=args.defaults.tags, opts=self._child
        )
        parameters = aws.rds.ClusterParameterGroup(
            f"{name}-parameters",
            family=FAMILY,
            description="Lets streamback make triggers while the binary log is on",
            parameters=[
                {"name": "log_bin_trust_function_creators", "value": "1"},
                {"name": "sql_mode", "value": SQL_MODE},
            ],
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
            vpc_security_group_ids=[network.security_group_id],
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

    def _function(self, name: str, handler: str, *, transactions: bool = False) -> Function:
        args = self._args
        cluster = self.cluster
        return Function(
            name,
            cluster.placed(
                FunctionArgs(
                    handler=handler,
                    defaults=args.defaults,
                    statements=cluster.rights(cluster.secret_arn, transactions=transactions),
                    variables=cluster.variables(cluster.secret_arn),
                )
            ),
            self._child,
        )
