"""What a pull request's role may do, which only reads; and what both of GitHub's may do with Pulumi's state."""

from __future__ import annotations

import re

from components.deploying import DEPLOYING
from components.rights import Right

READS = re.compile(r"apigateway:GET|[\w-]+:(Get|List|Describe)\w+")


def _reading(right: Right) -> Right:
    """What of a right only looks."""
    kept, of_provider = (
        " ".join(each for each in actions.split() if READS.fullmatch(each))
        for actions in (right.actions, right.provider)
    )
    return Right(kept, right.on, provider=of_provider, condition=right.condition)


# For `pulumi preview --refresh`: the settings of what a stack has, and nothing of its data.
PREVIEWING = tuple(
    reading for rights in DEPLOYING.values() for each in rights if (reading := _reading(each)) and reading.every
)

# Where Pulumi keeps a stack in a bucket: `.pulumi/` and these (pulumi's backend/diy).
BUCKET = "arn:{partition}:s3:::{state_bucket}"
META = f"{BUCKET}/.pulumi/meta.yaml"
KEPT = (f"{BUCKET}/.pulumi/stacks/streamback/{{stack}}.*",)
ADDED = (f"{BUCKET}/.pulumi/backups/streamback/{{stack}}/*", f"{BUCKET}/.pulumi/history/streamback/{{stack}}/*")
LOCKED = f"{BUCKET}/.pulumi/locks/organization/streamback/{{stack}}/*"
KEY = ("{state_key}",)

STATE_READING = (Right("s3:ListBucket", (BUCKET,)), Right("s3:GetObject", (META, *KEPT)))
STATE_WRITING = (
    Right("s3:DeleteObject s3:GetObject s3:PutObject", (*KEPT, *ADDED, LOCKED)),
    Right("s3:ListBucket", (BUCKET,)),
    Right("s3:GetObject", (META,)),
)
SECRETS_READING = (Right("kms:Decrypt", KEY),)
SECRETS_WRITING = (Right("kms:Decrypt kms:Encrypt", KEY),)
