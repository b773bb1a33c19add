"""The cluster as AWS describes it: its engine and version, and whether the Data API is on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from runbook.aws.clients import Clients
from runbook.aws.outputs import Target
from runbook.checks.check import Check

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef

ENGINE = "aurora-mysql"
VERSION = re.compile(r"mysql_aurora\.(\d+)\.(\d+)")
WITH_DATA_API = (3, 7)  # AWS: the Data API for Aurora MySQL on Serverless v2 and provisioned instances
WITH_PAUSE = (3, 8)  # AWS: a minimum capacity of zero
UPGRADE = "Upgrade the cluster: the setting `engineVersion`, then `pulumi up` (docs/settings.md)."


def checks(clients: Clients, target: Target) -> list[Check]:
    """Engine and Data API; a cluster that is not there or cannot be asked about is one red check."""
    name = target.cluster_arn.rpartition(":")[2]
    try:
        found = clients.rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    except ClientError as error:
        return [_unknown(str(error))]
    return [_engine(found[0]), _data_api(found[0])] if found else [_unknown(f"there is no cluster {name}")]


def _unknown(why: str) -> Check:
    return Check(
        name="data api",
        ok=False,
        value=why,
        limit="on",
        remedy="Are these the outputs of a stack that is deployed? You need rds:DescribeDBClusters.",
    )


def _engine(cluster: DBClusterTypeDef) -> Check:
    engine, version = cluster.get("Engine", ""), cluster.get("EngineVersion", "")
    least = WITH_PAUSE if _pauses(cluster) else WITH_DATA_API
    match = VERSION.search(version)
    numbers = tuple(map(int, match.groups())) if match else ()
    return Check(
        name="engine",
        ok=engine == ENGINE and numbers >= least,
        value=f"{engine} {version}",
        limit=f"{ENGINE} 3.{least[1]:02} or newer",
        remedy=UPGRADE,
    )


def _pauses(cluster: DBClusterTypeDef) -> bool:
    return cluster.get("ServerlessV2ScalingConfiguration", {}).get("MinCapacity") == 0


def _data_api(cluster: DBClusterTypeDef) -> Check:
    on = cluster.get("HttpEndpointEnabled", False)
    return Check(
        name="data api",
        ok=on,
        value="on" if on else "off",
        limit="on",
        remedy="`aws rds enable-http-endpoint --resource-arn ARN`; `pulumi up` does it too.",
    )
