"""The fence of a modern table: its policy refuses writers that do not ask the gate, for the time of a rollback.

The policy that was there is in the journal before it is changed, and restored byte for byte. A change by others in
between stays: then only the fence's own statements are removed. Each change names the revision that it replaces.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError

from functions.domain import names
from runbook.aws import fence_policy, lambda_calls
from runbook.aws.outputs import EntityTarget
from runbook.aws.table_policy import BLOCKED_SECONDS, LONGEST_BYTES, PolicyVersion, TablePolicy
from runbook.errors import FailedError, PreconditionError
from runbook.journal.lock import Lease
from runbook.stack import Context

# No number of refusals proves that all of DynamoDB applies a policy. So many at once, on as many connections, for so
# long make it likely; what comes through all the same is a conflict for the bridge and for `verify`.
LOOKS, STEADY_SECONDS = 8, 1.0
POLL_SECONDS = 0.05
LIFT_SECONDS = 60.0  # in which a policy must be restored and take effect; DynamoDB may block the first 15
SERVER_ERROR = 500
DENIED, UNMET = "AccessDeniedException", "ConditionalCheckFailedException"


class ModernFence:
    """The fence of one entity's modern table; without a lease its steps are shown, not done."""

    def __init__(self, context: Context, entity: EntityTarget, lease: Lease | None = None) -> None:
        self._context = context
        self._entity = entity
        self._lease = lease

    @cached_property
    def _arn(self) -> str:
        table = self._context.clients.dynamodb.describe_table(TableName=self._entity.modern_table)["Table"]
        return table.get("TableArn", "")

    @cached_property
    def _policy(self) -> TablePolicy:
        return TablePolicy(self._context.clients.dynamodb, self._arn)

    def prepare(self) -> None:
        """Keep the policy that is there, and the one that replaces it, in the journal; nothing is changed.

        Raises:
            PreconditionError: the fence could not be raised, or not be seen.
        """
        self._await_unblocked()
        if self._refused():
            raise PreconditionError(
                "the operator may not update items of the table, so no write of its own would show the fence",
                "Grant dynamodb:UpdateItem, see docs/security.md.",
            )
        before = self._policy.read()
        if fence_policy.has_fence(before.text):
            raise PreconditionError("the table's policy has the fence of another rollback", "Run `runbook preflight`.")
        context = self._context
        copier = lambda_calls.role_of(context.clients.functions, context.target.copy_function)
        caller = context.clients.sts.get_caller_identity()["Arn"]
        text = fence_policy.fenced(before.text, self._arn, copier, caller)
        if len(text.encode()) > LONGEST_BYTES:
            raise PreconditionError(
                f"with the fence the table's policy has {len(text.encode()):,} bytes, at most {LONGEST_BYTES:,} fit",
                "Shorten the table's policy, or roll back without --fence-modern.",
            )
        self._record({"before": before.text, "revision": before.revision, "fence": text})

    def _await_unblocked(self) -> None:
        """Wait here, not while clients are held, if a command has restored the policy a moment ago."""
        found = self._context.journal.find_record(self._entity.name, names.TABLE_POLICY_RECORD) or {}
        left = min(BLOCKED_SECONDS, float(found.get("changed", 0)) + BLOCKED_SECONDS - time.time())
        if left > 0:
            self._context.say(f"waiting {left:.0f} s, in which DynamoDB takes no change of the table's policy")
            time.sleep(left)

    def raise_(self, deadline: float) -> None:
        """Put the policy, and wait until it refuses the runbook's own write.

        Raises:
            PreconditionError: it does not until `deadline`, in monotonic seconds, or the policy cannot be put.
        """
        kept = self._kept()
        assert kept, "`prepare` comes first"
        self._record({**kept, "raised": self._put(kept, deadline)})
        if not self._holds(self._refused, deadline):
            raise PreconditionError(
                "DynamoDB does not apply the table's policy in time", "Run it again with a longer --hold, at most 15."
            )

    def _put(self, kept: Mapping[str, str], deadline: float) -> str:
        """Put the policy; its revision. If it was certainly not put, nothing is left to undo."""
        try:
            raised = self._put_once_free(kept, deadline)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", SERVER_ERROR) >= SERVER_ERROR:
                raise
            self.forget()
            raise PreconditionError(f"the table's policy cannot be put: {error}", "See docs/security.md.") from error
        if raised is None and (raised := self._own(deadline, kept)) is None:
            self.forget()
            raise PreconditionError("the table's policy was changed by others meanwhile", "Run it again.")
        return raised

    def _put_once_free(self, kept: Mapping[str, str], deadline: float) -> str | None:
        """Put it, or find it: a put that took effect and whose answer was lost blocks its own repetition, too."""
        while True:
            try:
                return self._policy.replace(kept["fence"], kept["revision"], timeout=0)
            except PreconditionError:
                found = self._policy.read()
                if found.text == kept["fence"]:
                    return found.revision
                if time.monotonic() > deadline:
                    raise
            time.sleep(POLL_SECONDS)

    def _own(self, deadline: float, kept: Mapping[str, str]) -> str | None:
        """The revision that a put of ours has made whose answer was lost; None if another policy is there."""
        found = self._shown(deadline, but=kept["revision"])
        return found.revision if found.text == kept["fence"] else None

    def lower(self) -> None:
        """Restore the policy that was there, and wait until writes are let in; nothing to do without a record.

        Raises:
            FailedError: it does not take effect.
        """
        kept = self._kept()
        if kept is None:
            return
        deadline = time.monotonic() + LIFT_SECONDS
        raised = kept.get("raised") or self._outcome(kept, deadline)
        if raised is None or self._policy.replace(kept["before"], raised, _left(deadline)) is None:
            self._lift_beside(raised or kept["revision"], deadline)
        if not self._holds(lambda: not self._refused(), deadline):
            raise FailedError("the table's policy still refuses writes", "See `runbook preflight`, run it again.")
        self._record({"changed": time.time()})

    def _outcome(self, kept: Mapping[str, str], deadline: float) -> str | None:
        """The revision after a put whose outcome is unknown; None if another policy is there.

        The put is completed: so none that is late takes effect when the policy has been restored.
        """
        raised = self._policy.replace(kept["fence"], kept["revision"], _left(deadline))
        raised = raised or self._own(deadline, kept)
        if raised:
            self._record({**kept, "raised": raised})
        return raised

    def _lift_beside(self, raised: str, deadline: float) -> None:
        """Remove the fence's statements from a policy that others have changed, or that was restored before."""
        while True:
            found = self._shown(deadline, but=raised)
            if not fence_policy.has_fence(found.text):
                return
            self._context.say("the table's policy was changed by others: only the fence's statements are removed")
            text = fence_policy.lifted(found.text)
            if self._policy.replace(text, found.revision, _left(deadline)) is not None:
                return

    def _shown(self, deadline: float, but: str) -> PolicyVersion:
        """The policy, once DynamoDB shows another revision than the one that is known not to be there any more."""
        while (found := self._policy.read()).revision == but:
            if time.monotonic() > deadline:
                raise FailedError("DynamoDB does not show the table's policy as it is", "Run the command again.")
            time.sleep(POLL_SECONDS)
        return found

    def clear(self) -> bool:
        """Lower one that an earlier command has left, without or with its record; whether there was one."""
        if self._kept():
            self.lower()
            return True
        found = self._policy.read()
        if not fence_policy.has_fence(found.text):
            return False
        text = fence_policy.lifted(found.text)
        return self._policy.replace(text, found.revision, LIFT_SECONDS) is not None

    def forget(self) -> None:
        """Remove what the journal has of a fence that was not raised."""
        if self._kept() is None:
            return
        assert self._lease is not None, "a fence is changed under a lease"
        self._context.journal.remove_records(self._lease.lock, self._entity.name, names.TABLE_POLICY_RECORD)

    def _kept(self) -> Mapping[str, str] | None:
        found = self._context.journal.find_record(self._entity.name, names.TABLE_POLICY_RECORD)
        return {key: str(value) for key, value in found.items()} if found and "fence" in found else None

    def _record(self, kept: Mapping[str, str | float]) -> None:
        assert self._lease is not None, "a fence is changed under a lease"
        values = {key: value for key, value in kept.items() if key not in {"entity", "record"}}
        self._context.journal.put_record(self._entity.name, names.TABLE_POLICY_RECORD, values, self._lease.lock)

    def _refused(self) -> bool:
        """Whether a write of the runbook's own is refused; if not, it fails by its condition, and changes nothing."""
        key: Any = {self._context.target.mapping[self._entity.name].modern.key: {"S": names.HEARTBEAT_KEY}}
        try:
            self._context.clients.dynamodb.update_item(
                TableName=self._entity.modern_table,
                Key=key,
                UpdateExpression="SET #none = :empty",
                ConditionExpression="attribute_exists(#none) AND attribute_not_exists(#none)",
                ExpressionAttributeNames={"#none": names.HEARTBEAT_ATTRIBUTE},
                ExpressionAttributeValues={":empty": {"S": ""}},
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code not in {DENIED, UNMET}:
                raise
            return code == DENIED
        raise AssertionError("no item fulfils the condition")

    @staticmethod
    def _holds(look: Callable[[], bool], deadline: float) -> bool:
        """Whether it is so at every look on several connections for a while, before the deadline."""
        with ThreadPoolExecutor(LOOKS) as pool:
            since = time.monotonic()
            while time.monotonic() < deadline:
                if not all(each.result() for each in [pool.submit(look) for _ in range(LOOKS)]):
                    since = time.monotonic()
                elif time.monotonic() - since >= STEADY_SECONDS:
                    return True
                time.sleep(POLL_SECONDS)
        return False


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
