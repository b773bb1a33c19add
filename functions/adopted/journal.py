"""What the journal says of adopted systems: whether `runbook adopt` has run, and whether it is at work."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from functions.domain import names
from functions.domain.phase import Phase

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Beyond its end, in which a lock still counts: the clocks of the operator and of this function may differ.
LOCK_GRACE_SECONDS = 300.0


@dataclass(frozen=True, kw_only=True)
class AdoptionState:
    """Of one entity, at one moment.

    Attributes:
        adopted: `runbook adopt` has changed something, and its undo has not restored it.
        complete: the entity is in phase `complete`.
        versions: of the aliases, as `adopt` noted them.
        busy: `adopt` or its undo holds the API's lock, and changes what is compared.
        token: of the last such lock, which grows with each.
    """

    adopted: bool
    complete: bool = False
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    busy: bool = False
    token: int = 0


@dataclass(frozen=True)
class AdoptionRecords:
    """Reads them.

    Args:
        table: the journal's name.
    """

    client: DynamoDBClient
    table: str

    def read(self, entity: str, *, api: bool) -> AdoptionState:
        """The entity's adoption as it is now; `api` says whether the stack adopts an API beside tables."""
        own = self._find(entity, names.ADOPTED_RECORD)
        if own is None or (api and self._find(names.ADOPTED_API, names.ADOPTED_RECORD) is None):
            return AdoptionState(adopted=False)
        state, shared = (self._find(each, names.STATE_RECORD) or {} for each in (entity, names.ADOPTED_API))
        lock = shared.get("lock", {}).get("M", {})
        return AdoptionState(
            adopted=True,
            complete=state.get("phase", {}).get("S") == Phase.COMPLETE,
            versions={name: value["S"] for name, value in own.get("versions", {}).get("M", {}).items()},
            busy=bool(lock) and time.time() < float(lock["until"]["N"]) + LOCK_GRACE_SECONDS,
            token=int(shared.get("token", {}).get("N", 0)),
        )

    def _find(self, entity: str, record: str) -> Mapping[str, Any] | None:
        key = {"entity": {"S": entity}, "record": {"S": record}}
        return self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True).get("Item")
