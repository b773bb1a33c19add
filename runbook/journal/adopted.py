"""What `runbook adopt` has changed in systems that others have made, with the values before. One writer.

functions/adopted/journal.py reads `versions`, and whether there is a record, for the alarm.

An entity's record has what is its own. The API's has what the entities share: the deployment that the stage served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from functions.domain import names
from runbook.journal.journal import Journal
from runbook.journal.lock import Lease
from runbook.journal.state import Event

API = names.ADOPTED_API


@dataclass(frozen=True, kw_only=True)
class AdoptedParts:
    """Of one entity.

    Attributes:
        uris: the URIs that the integrations had, by method.
        variables: the values that stage variables had; empty for one that was not there.
        permissions: the statements that were added, by function, each by its id.
        stream: whether the table's stream was switched on.
        versions: the versions of the aliases, as they were noted.
    """

    uris: Mapping[str, str] = field(default_factory=dict[str, str])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    permissions: Mapping[str, list[str]] = field(default_factory=dict[str, list[str]])
    stream: bool = False
    versions: Mapping[str, str] = field(default_factory=dict[str, str])

    def with_older(self, older: AdoptedParts) -> AdoptedParts:
        """Both; of two values before, the older one is the one that was there before streamback."""
        functions = {*self.permissions, *older.permissions}
        return AdoptedParts(
            uris={**self.uris, **older.uris},
            variables={**self.variables, **older.variables},
            permissions={
                each: sorted({*self.permissions.get(each, []), *older.permissions.get(each, [])}) for each in functions
            },
            stream=self.stream or older.stream,
            versions={**older.versions, **self.versions},
        )


@dataclass(frozen=True, kw_only=True)
class AdoptedStage:
    """Of the API.

    Attributes:
        deployment: the one that the stage served before; empty when no older one has what is deployed now.
    """

    deployment: str


def parts(journal: Journal, entity: str) -> AdoptedParts | None:
    """What was changed of an entity; None where nothing was."""
    found = journal.find_record(entity, names.ADOPTED_RECORD)
    known = {each.name for each in fields(AdoptedParts)}
    return AdoptedParts(**{name: value for name, value in found.items() if name in known}) if found else None


def stage(journal: Journal) -> AdoptedStage | None:
    found = journal.find_record(API, names.ADOPTED_RECORD)
    return AdoptedStage(deployment=found["deployment"]) if found else None


def write(journal: Journal, lease: Lease, values: AdoptedParts | AdoptedStage) -> None:
    """Keep the values, while the lease's lock is ours."""
    journal.put_record(lease.entity, names.ADOPTED_RECORD, asdict(values), lease.lock)


def remove(journal: Journal, lease: Lease) -> None:
    journal.remove_records(lease.lock, lease.entity, names.ADOPTED_RECORD)


def begin(journal: Journal, entity: str, stream_arn: str, command: str, operator: str) -> None:
    """Begin the entity in the journal where it is not there yet, so that it has a lock. The API is begun likewise."""
    if journal.find(entity) is None:
        journal.create(entity, stream_arn, Event(entity=entity, command=command, result="begun", operator=operator))
