"""How long the bridge waits for what another record or another table must bring first."""

from dataclasses import dataclass

from functions.aws.mysql_errors import FOREIGN_KEY_CODES, TransientError
from functions.aws.quarantine import Quarantine
from functions.domain.changes import Change, ChangeKind
from functions.domain.entities import Entity

OF_A_ROW = frozenset({ChangeKind.UPSERT, ChangeKind.DELETE})  # changes that quarantine can hold
MOST_TRIES = 6  # at a record that fails alone, for an unknown reason or for a row of another table
FUNCTION_SECONDS = 120.0  # seconds at least for legacy's function to answer again: it may be deployed just then
RETRY_SECONDS = 30.0  # seconds at least for that row to come: the bridge of its table has a lag of its own


@dataclass(frozen=True)
class RetryingQuarantine:
    """The quarantine, where a change that breaks a foreign key goes only after some tries and some time."""

    quarantine: Quarantine

    def put(self, entity: Entity, change: Change, reason: str, code: int = 0) -> None:
        """Quarantine a change.

        Raises:
            TransientError: the row that it needs may still come; apply the batch again.
        """
        if code in FOREIGN_KEY_CODES and change.kind in OF_A_ROW:
            tries = self.quarantine.tried(entity.name, change)
            if tries.count < MOST_TRIES or tries.seconds < RETRY_SECONDS:
                raise TransientError(f"a row of a foreign key may still come: {reason}", code)
        self.quarantine.put(entity, change, reason, code)
