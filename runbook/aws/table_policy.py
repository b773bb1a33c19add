"""The resource-based policy of a DynamoDB table: read, and changed only if no other change came since.

DynamoDB shows and applies a change some time after it has taken it. For 15 seconds after a change it refuses the next.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-considerations.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from runbook.errors import PreconditionError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LONGEST_BYTES = 20 * 1024  # of a policy, white space included
BLOCKED_SECONDS = 15.0  # after a change, in which the next is refused
NO_POLICY = "NO_POLICY"  # the revision that stands for a table without one
# Too soon after a change; AWS does not say which.
BUSY = frozenset({"LimitExceededException", "ResourceInUseException"})
BUSY_WAIT_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class PolicyVersion:
    """A policy as it was sent, byte for byte, and its revision; without text there is none."""

    text: str = ""
    revision: str = NO_POLICY


class TablePolicy:
    """The policy of one table."""

    def __init__(self, client: DynamoDBClient, arn: str) -> None:
        self._client = client
        self._arn = arn

    def read(self) -> PolicyVersion:
        """The policy as DynamoDB shows it now, which may be the one before."""
        try:
            answer = self._client.get_resource_policy(ResourceArn=self._arn)
        except ClientError as error:
            if _code(error) != "PolicyNotFoundException":
                raise
            return PolicyVersion()
        return PolicyVersion(text=answer["Policy"], revision=answer["RevisionId"])

    def replace(self, text: str, expected: str, timeout: float) -> str | None:
        """Put `text` in the place of the revision that is expected; without text, remove the policy.

        Args:
            text: the new policy.
            expected: the revision that must be there.
            timeout: seconds for which a change that comes too soon after the last one is repeated.

        Returns:
            The new revision; None if another revision was there, and nothing was changed.

        Raises:
            PreconditionError: DynamoDB takes no change in that time.
        """
        change = partial(self._put, text, expected) if text else partial(self._delete, expected)
        return self._once_free(change, timeout)

    def _put(self, text: str, expected: str) -> str:
        answer = self._client.put_resource_policy(ResourceArn=self._arn, Policy=text, ExpectedRevisionId=expected)
        return answer["RevisionId"]

    def _delete(self, expected: str) -> str:
        self._client.delete_resource_policy(ResourceArn=self._arn, ExpectedRevisionId=expected)
        return NO_POLICY

    def _once_free(self, change: Callable[[], str], timeout: float) -> str | None:
        deadline = time.monotonic() + timeout
        while True:
            try:
                return change()
            except ClientError as error:
                if _code(error) == "PolicyNotFoundException":
                    return None
                if _code(error) not in BUSY:
                    raise
                if time.monotonic() > deadline:
                    message = f"DynamoDB takes no change of the table's policy: {error}"
                    raise PreconditionError(message, "It blocks changes for 15 s after one. Run it again.") from error
            time.sleep(BUSY_WAIT_SECONDS)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
