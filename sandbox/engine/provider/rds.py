"""Aurora: subnet group, parameter groups, cluster, instance. Its rows: sandbox/database."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, camel, capital, found, known, pascal, pick, section, tags
from sandbox.engine.state import Record


@handles(
    "aws:rds/subnetGroup:SubnetGroup",
    properties="name tags",
    updates="subnetIds description",
    name=AutoName("name", 255, lower=True),
)
class SubnetGroup(Handler):
    def create(self, inputs: Mapping[str, Any]) -> Made:
        group = self.aws.client("rds").create_db_subnet_group(
            **self._arguments(inputs["name"], inputs), Tags=tags(inputs)
        )["DBSubnetGroup"]
        return Made(inputs["name"], {"arn": group["DBSubnetGroupArn"], "vpcId": group.get("VpcId", "")})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        self.aws.client("rds").modify_db_subnet_group(**self._arguments(record.id, inputs))
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        (group,) = self.aws.client("rds").describe_db_subnet_groups(DBSubnetGroupName=record.id)["DBSubnetGroups"]
        subnets = [each["SubnetIdentifier"] for each in group["Subnets"]]
        return {"subnetIds": subnets, "description": group["DBSubnetGroupDescription"]}

    def delete(self, record: Record) -> None:
        self.aws.client("rds").delete_db_subnet_group(DBSubnetGroupName=record.id)

    def _arguments(self, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "DBSubnetGroupName": name,
            "DBSubnetGroupDescription": inputs.get("description", "Managed by Pulumi"),
            "SubnetIds": inputs["subnetIds"],
        }


@handles(
    "aws:rds/clusterParameterGroup:ClusterParameterGroup",
    properties="name family description tags",
    updates="parameters",
    name=AutoName("name", 255, lower=True),
)
class ClusterParameterGroup(Handler):
    """The engine's settings for a cluster."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        group = self.aws.client("rds").create_db_cluster_parameter_group(
            DBClusterParameterGroupName=inputs["name"],
            DBParameterGroupFamily=inputs["family"],
            Description=inputs.get("description", "Managed by Pulumi"),
            Tags=tags(inputs),
        )["DBClusterParameterGroup"]
        self._set(inputs["name"], inputs.get("parameters", []))
        return Made(inputs["name"], {"arn": group["DBClusterParameterGroupArn"]})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        names = {parameter["name"] for parameter in inputs.get("parameters", [])}
        gone = [parameter for parameter in record.inputs.get("parameters", []) if parameter["name"] not in names]
        if gone:
            self.aws.client("rds").reset_db_cluster_parameter_group(
                DBClusterParameterGroupName=record.id, Parameters=[_parameter(parameter) for parameter in gone]
            )
        self._set(record.id, inputs.get("parameters", []))
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        place = {"DBClusterParameterGroupName": record.id, "Source": "user"}
        pages = self.aws.client("rds").get_paginator("describe_db_cluster_parameters").paginate(**place)
        values = {each["ParameterName"]: each.get("ParameterValue") for page in pages for each in page["Parameters"]}
        asked: list[dict[str, Any]] = record.inputs.get("parameters", [])
        return {"parameters": [{**each, "value": values.get(each["name"]) or ""} for each in asked]}

    def delete(self, record: Record) -> None:
        self.aws.client("rds").delete_db_cluster_parameter_group(DBClusterParameterGroupName=record.id)

    def _set(self, name: str, parameters: list[dict[str, str]]) -> None:
        if parameters:
            self.aws.client("rds").modify_db_cluster_parameter_group(
                DBClusterParameterGroupName=name, Parameters=[_parameter(parameter) for parameter in parameters]
            )


def _parameter(parameter: Mapping[str, str]) -> dict[str, str]:
    known(parameter, "name value applyMethod")
    method = parameter.get("applyMethod", "immediate")
    return {"ParameterName": parameter["name"], "ParameterValue": parameter["value"], "ApplyMethod": method}


# Inputs that modify_db_cluster can change. `applyImmediately` is always so here.
CLUSTER_UPDATES = (
    "engineVersion serverlessv2ScalingConfiguration deletionProtection backupRetentionPeriod preferredBackupWindow "
    "preferredMaintenanceWindow dbClusterParameterGroupName vpcSecurityGroupIds copyTagsToSnapshot enableHttpEndpoint "
    "iamDatabaseAuthenticationEnabled masterPassword manageMasterUserPassword masterUserSecretKmsKeyId storageType port"
)
CLUSTER_FIXED = (
    "clusterIdentifier engine engineMode databaseName masterUsername dbSubnetGroupName storageEncrypted kmsKeyId"
)
AWS_NAMES = {  # where it is not the input's with a capital first letter
    "clusterIdentifier": "DBClusterIdentifier",
    "dbClusterParameterGroupName": "DBClusterParameterGroupName",
    "dbSubnetGroupName": "DBSubnetGroupName",
    "iamDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
    "masterPassword": "MasterUserPassword",
    "serverlessv2ScalingConfiguration": "ServerlessV2ScalingConfiguration",
}
# enabledCloudwatchLogsExports and the like change the bill and the logs of a real Aurora, and nothing here.
CLUSTER_WITHOUT_EFFECT = (
    "applyImmediately allowMajorVersionUpgrade skipFinalSnapshot finalSnapshotIdentifier enabledCloudwatchLogsExports "
    "performanceInsightsEnabled performanceInsightsRetentionPeriod databaseInsightsMode deleteAutomatedBackups"
)


@handles(
    "aws:rds/cluster:Cluster",
    properties=f"{CLUSTER_FIXED} tags",
    updates=f"{CLUSTER_UPDATES} {CLUSTER_WITHOUT_EFFECT}",
    name=AutoName("clusterIdentifier", 63, lower=True),
)
class Cluster(Handler):
    """An Aurora cluster with its managed master secret and its Data API."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        arguments = _cluster_arguments(inputs, f"{CLUSTER_FIXED} {CLUSTER_UPDATES}".split())
        cluster = self.aws.client("rds").create_db_cluster(**arguments, Tags=tags(inputs))["DBCluster"]
        return Made(cluster["DBClusterIdentifier"], _cluster_outputs(cluster))

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        arguments = _cluster_arguments(inputs, changed & set(CLUSTER_UPDATES.split()))
        cluster = self.aws.client("rds").modify_db_cluster(
            DBClusterIdentifier=record.id, ApplyImmediately=True, **arguments
        )["DBCluster"]
        return _cluster_outputs(cluster)

    def observed(self, record: Record) -> Mapping[str, Any]:
        (cluster,) = self.aws.client("rds").describe_db_clusters(DBClusterIdentifier=record.id)["DBClusters"]
        plain = (
            "deletionProtection backupRetentionPeriod preferredBackupWindow preferredMaintenanceWindow engineVersion "
            "copyTagsToSnapshot"
        )
        groups = [each["VpcSecurityGroupId"] for each in cluster.get("VpcSecurityGroups", [])]
        capacity = camel(cluster.get("ServerlessV2ScalingConfiguration", {}))
        return {
            **found(
                cluster,
                plain,
                enableHttpEndpoint="HttpEndpointEnabled",
                dbClusterParameterGroupName="DBClusterParameterGroup",
            ),
            # the emulator does not keep when it pauses
            "serverlessv2ScalingConfiguration": section(record.inputs, "serverlessv2ScalingConfiguration") | capacity,
            **({"vpcSecurityGroupIds": groups} if groups else {}),
        }

    def delete(self, record: Record) -> None:
        keep: dict[str, Any] = {"SkipFinalSnapshot": True}
        if not record.inputs.get("skipFinalSnapshot", False):
            name = record.inputs.get("finalSnapshotIdentifier")
            if not name:
                raise ValueError("finalSnapshotIdentifier is required unless skipFinalSnapshot is true")
            keep = {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": name}
        self.aws.client("rds").delete_db_cluster(DBClusterIdentifier=record.id, **keep)


def _cluster_arguments(inputs: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    given = {AWS_NAMES.get(name, capital(name)): inputs[name] for name in names if name in inputs}
    return {
        name: pascal(value) if name == "ServerlessV2ScalingConfiguration" else value for name, value in given.items()
    }


def _cluster_outputs(cluster: Mapping[str, Any]) -> dict[str, Any]:
    secrets = [
        {"secretArn": each["SecretArn"], "secretStatus": each["SecretStatus"], "kmsKeyId": each.get("KmsKeyId", "")}
        for each in (cluster.get("MasterUserSecret"),)
        if each
    ]
    return {
        "arn": cluster["DBClusterArn"],
        "endpoint": cluster["Endpoint"],
        "readerEndpoint": cluster.get("ReaderEndpoint", ""),
        "clusterResourceId": cluster.get("DbClusterResourceId", ""),
        "engineVersionActual": cluster["EngineVersion"],
        "port": cluster["Port"],
        "masterUserSecrets": secrets,
    }


@handles(
    "aws:rds/clusterInstance:ClusterInstance",
    properties="identifier clusterIdentifier engine dbSubnetGroupName availabilityZone tags",
    updates=(  # the cluster's change of version is its instances', too
        "engineVersion instanceClass promotionTier applyImmediately autoMinorVersionUpgrade publiclyAccessible "
        "forceDestroy performanceInsightsEnabled performanceInsightsRetentionPeriod copyTagsToSnapshot caCertIdentifier"
    ),
    name=AutoName("identifier", 63, lower=True),
)
class ClusterInstance(Handler):
    def create(self, inputs: Mapping[str, Any]) -> Made:
        instance = self.aws.client("rds").create_db_instance(
            DBInstanceIdentifier=inputs["identifier"],
            DBClusterIdentifier=inputs["clusterIdentifier"],
            DBInstanceClass=inputs["instanceClass"],
            Tags=tags(inputs),
            **pick(inputs, "engine engineVersion availabilityZone promotionTier publiclyAccessible"),
        )["DBInstance"]
        endpoint = section(instance, "Endpoint")
        outputs = {
            "endpoint": endpoint.get("Address", ""),
            "dbiResourceId": instance.get("DbiResourceId", uuid.uuid4().hex),
        }
        return Made(inputs["identifier"], {"arn": instance["DBInstanceArn"], "writer": True, **outputs})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        arguments = pick(
            {name: inputs[name] for name in changed if name in inputs},
            "promotionTier autoMinorVersionUpgrade publiclyAccessible",
            DBInstanceClass="instanceClass",
        )
        self.aws.client("rds").modify_db_instance(DBInstanceIdentifier=record.id, ApplyImmediately=True, **arguments)
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        place = {"DBInstanceIdentifier": record.id}
        (instance,) = self.aws.client("rds").describe_db_instances(**place)["DBInstances"]
        return found(instance, "engineVersion promotionTier publiclyAccessible", instanceClass="DBInstanceClass")

    def delete(self, record: Record) -> None:
        self.aws.client("rds").delete_db_instance(DBInstanceIdentifier=record.id, SkipFinalSnapshot=True)
