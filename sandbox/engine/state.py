"""What the engine has made, in order: URN → type, id, inputs, outputs. Written after every step."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VERSION = 1


@dataclass(kw_only=True)
class Record:
    """One resource that exists.

    Args:
        urn: Pulumi's name for it.
        type: its type token; component resources are not recorded.
        id: its id at the provider.
        inputs: as the program gave them, with the name that was made; archives by digest.
        outputs: as the provider answered.
        protect: deletion by a later program is refused.
        retain: forgotten instead of deleted.
        replaced: a successor is there; to be deleted at the end.
    """

    urn: str
    type: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    protect: bool = False
    retain: bool = False
    replaced: bool = False

    @property
    def properties(self) -> dict[str, Any]:
        """Inputs and outputs as the program sees them; an output wins."""
        return {**self.inputs, **self.outputs}


@dataclass(kw_only=True)
class State:
    """The records in the order they were made, and what was being made when it was last written."""

    path: Path
    records: list[Record] = field(default_factory=list[Record])
    creating: set[str] = field(default_factory=set[str])
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @classmethod
    def load(cls, path: Path) -> State:
        """The state in the file; empty when there is none."""
        if not path.exists():
            return cls(path=path)
        raw = json.loads(path.read_text(encoding="utf-8"))
        return cls(path=path, records=[Record(**record) for record in raw["records"]], creating=set(raw["creating"]))

    def find(self, urn: str) -> Record | None:
        with self._lock:
            return next((record for record in self.records if record.urn == urn and not record.replaced), None)

    def begin(self, urn: str) -> None:
        """Note that `urn` is being made: if this process dies, it is unknown how far it got."""
        with self._lock:
            self.creating.add(urn)
            self._write()

    def put(self, record: Record) -> None:
        """Add the record, or write it again after a change."""
        with self._lock:
            self.creating.discard(record.urn)
            if record not in self.records:
                self.records.append(record)
            self._write()

    def abandon(self, urn: str) -> None:
        """Note that making `urn` failed and left nothing."""
        with self._lock:
            self.creating.discard(urn)
            self._write()

    def remove(self, record: Record) -> None:
        with self._lock:
            self.records = [kept for kept in self.records if kept is not record]
            self._write()

    def _write(self) -> None:
        document = {
            "version": VERSION,
            "creating": sorted(self.creating),
            "records": [asdict(record) for record in self.records],
        }
        draft = self.path.with_suffix(".tmp")
        draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
        draft.replace(self.path)  # a reader, or a crash, sees the old file or the new one
