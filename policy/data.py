"""Rules about what holds data: encrypted, restorable, and in production not deleted by a mistake."""

from collections.abc import Iterator, Sequence

from policy.rules import Resource, at, of, rule, stack_rule

TABLE, BUCKET = "aws:dynamodb/table:Table", "aws:s3/bucket:Bucket"
CLUSTER, INSTANCE = "aws:rds/cluster:Cluster", "aws:rds/clusterInstance:ClusterInstance"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
BACKUP_DAYS = 7  # at least, in production


@rule(TABLE)
def tables_can_be_restored(table: Resource) -> Iterator[str]:
    """A DynamoDB table has point-in-time recovery."""
    if at(table.properties, "pointInTimeRecovery", "enabled") is not True:
        yield "set point_in_time_recovery={'enabled': True}"


@rule(TABLE)
def streams_have_both_images(table: Resource) -> Iterator[str]:
    """A stream carries the old and the new image: only both show whose change a record is."""
    view = table.properties.get("streamViewType")
    if table.properties.get("streamEnabled") and view != "NEW_AND_OLD_IMAGES":
        yield f"set stream_view_type='NEW_AND_OLD_IMAGES', got {view}"


@rule(CLUSTER)
def databases_are_encrypted(cluster: Resource) -> Iterator[str]:
    """A database cluster's storage is encrypted; DynamoDB, Secrets Manager and CloudWatch encrypt always."""
    if cluster.properties.get("storageEncrypted") is not True:
        yield "set storage_encrypted=True; it replaces a cluster that is there"


@stack_rule
def buckets_are_encrypted(resources: Sequence[Resource]) -> Iterator[tuple[Resource, str]]:
    """A bucket has a server-side encryption configuration."""
    encrypted = {urn for each in of(ENCRYPTION, resources) if _encrypts(each) for urn in each.dependencies}
    for bucket in of(BUCKET, resources):
        if bucket.urn not in encrypted:
            yield bucket, "add a BucketServerSideEncryptionConfiguration with AES256 or aws:kms"


@rule(CLUSTER)
def databases_are_backed_up(cluster: Resource) -> Iterator[str]:
    """A database cluster keeps backups."""
    if not (cluster.properties.get("backupRetentionPeriod") or 0) >= 1:
        yield "set backup_retention_period to 1 day or more"


@rule(CLUSTER, production=True)
def production_databases_keep_backups_for_a_week(cluster: Resource) -> Iterator[str]:
    """In production a database cluster keeps its backups for seven days or more."""
    days = cluster.properties.get("backupRetentionPeriod") or 0
    if days < BACKUP_DAYS:
        yield f"set backup_retention_period to {BACKUP_DAYS} days or more, got {days:g}"


@rule(TABLE, BUCKET, CLUSTER, INSTANCE, production=True)
def production_data_is_protected(resource: Resource) -> Iterator[str]:
    """In production Pulumi refuses to delete or replace what holds data."""
    if not resource.protect:
        yield "set protect=True in its resource options"


# What AWS itself must refuse, by type: the property and the value that it must have.
REFUSED_BY_AWS = {
    TABLE: ("deletionProtectionEnabled", True),
    CLUSTER: ("deletionProtection", True),
    BUCKET: ("forceDestroy", False),
}


@rule(*REFUSED_BY_AWS, production=True)
def production_data_cannot_be_deleted(resource: Resource) -> Iterator[str]:
    """In production AWS refuses to delete what holds data, also when someone uses its console."""
    key, wanted = REFUSED_BY_AWS[resource.type]
    if bool(resource.properties.get(key)) is not wanted:
        yield f"set {key} to {str(wanted).lower()}"


@rule(CLUSTER, production=True)
def production_databases_leave_a_snapshot(cluster: Resource) -> Iterator[str]:
    """In production a database cluster leaves a final snapshot when it is deleted."""
    if cluster.properties.get("skipFinalSnapshot") is not False:
        yield "set skip_final_snapshot=False and final_snapshot_identifier"


def _encrypts(configuration: Resource) -> bool:
    chosen = at(configuration.properties, "rules", 0, "applyServerSideEncryptionByDefault", "sseAlgorithm")
    return chosen in {"AES256", "aws:kms"}
