"""The failure bucket: it keeps the whole payload of each dead-lettered batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws


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
