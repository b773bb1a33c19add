"""Buckets and the settings that Pulumi keeps as resources of their own."""

from collections.abc import Mapping
from typing import Any

from sandbox.engine.aws import PARTITION
from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, camel, found, known, pick, tags
from sandbox.engine.state import Record


@handles(
    "aws:s3/bucket:Bucket",
    properties="bucket objectLockEnabled tags",
    updates="forceDestroy",
    name=AutoName("bucket", 63, lower=True),
    holds_data=True,
)
class Bucket(Handler):
    """A bucket; what is in it goes with it only with `forceDestroy`."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        name, s3 = inputs["bucket"], self.aws.client("s3")
        s3.create_bucket(Bucket=name, **pick(inputs, "", ObjectLockEnabledForBucket="objectLockEnabled"))
        if inputs.get("tags"):
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags(inputs)})
        regional = f"{name}.s3.{self.aws.region}.amazonaws.com"
        outputs = {"bucketDomainName": f"{name}.s3.amazonaws.com", "bucketRegionalDomainName": regional}
        return Made(name, {"arn": f"arn:{PARTITION}:s3:::{name}", "bucketRegion": self.aws.region, **outputs})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        return {}

    def release(self, record: Record) -> None:
        empty(self.aws.client("s3"), record.id)

    def delete(self, record: Record) -> None:
        if record.inputs.get("forceDestroy"):
            empty(self.aws.client("s3"), record.id)
        self.aws.client("s3").delete_bucket(Bucket=record.id)


def empty(s3: Any, bucket: str) -> None:
    """Delete every version of every object."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])


class Setting(Handler):
    """One setting of a bucket, put whole each time; its id is the bucket."""

    put: str
    remove: str

    def arguments(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The setting as `put` takes it."""
        raise NotImplementedError

    def create(self, inputs: Mapping[str, Any]) -> Made:
        getattr(self.aws.client("s3"), self.put)(Bucket=inputs["bucket"], **self.arguments(inputs))
        return Made(inputs["bucket"])

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        return self.create(inputs).outputs

    def delete(self, record: Record) -> None:
        getattr(self.aws.client("s3"), self.remove)(Bucket=record.inputs["bucket"])


@handles(
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    properties="bucket",
    updates="blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets",
    part_of="bucket",
)
class PublicAccessBlock(Setting):
    put, remove = "put_public_access_block", "delete_public_access_block"

    def observed(self, record: Record) -> Mapping[str, Any]:
        return camel(self.aws.client("s3").get_public_access_block(Bucket=record.id)["PublicAccessBlockConfiguration"])

    def arguments(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        switches = "blockPublicAcls blockPublicPolicy ignorePublicAcls restrictPublicBuckets"
        return {"PublicAccessBlockConfiguration": pick(inputs, switches)}


@handles(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    properties="bucket",
    updates="rules",
    part_of="bucket",
)
class Encryption(Setting):
    put, remove = "put_bucket_encryption", "delete_bucket_encryption"

    def observed(self, record: Record) -> Mapping[str, Any]:
        answer = self.aws.client("s3").get_bucket_encryption(Bucket=record.id)["ServerSideEncryptionConfiguration"]
        names = {"sseAlgorithm": "SSEAlgorithm", "kmsMasterKeyId": "KMSMasterKeyID"}
        defaults = [found(rule["ApplyServerSideEncryptionByDefault"], "", **names) for rule in answer["Rules"]]
        return {"rules": [{"applyServerSideEncryptionByDefault": each} for each in defaults]}

    def arguments(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        rules = [self._rule(rule) for rule in inputs["rules"]]
        return {"ServerSideEncryptionConfiguration": {"Rules": rules}}

    def _rule(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        default = known(rule["applyServerSideEncryptionByDefault"], "sseAlgorithm kmsMasterKeyId")
        found = pick(default, "", SSEAlgorithm="sseAlgorithm", KMSMasterKeyID="kmsMasterKeyId")
        return {"ApplyServerSideEncryptionByDefault": found, **pick(rule, "bucketKeyEnabled")}
