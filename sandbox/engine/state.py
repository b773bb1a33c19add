"""What the engine has made, in order: URN → type, id, inputs, outputs.

Kept in a file, and in a log beside it with a line for each step since. A step is written when it is done, so that a
killed process leaves a true state. The next run writes the file anew.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

VERSION = 1


@dataclass(kw_only=True, eq=False)
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
        number: counts the records of a state.
    """

    urn: str
    type: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    protect: bool = False
    retain: bool = False
    replaced: bool = False
    number: int = 0

    @property
    def properties(self) -> dict[str, Any]:
        """Inputs and outputs as the program sees them; an output wins."""
        return {**self.inputs, **self.outputs}


@dataclass(kw_only=True)
class State:
    """The records in the order they were made, and what was being made when it was last written."""

    path: Path
    creating: set[str] = field(default_factory=set[str])
    _by_number: dict[int, Record] = field(default_factory=dict[int, Record])
    _present: dict[str, Record] = field(default_factory=dict[str, Record])
    _last: int = 0
    _log: TextIO | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @classmethod
    def load(cls, path: Path) -> State:
        """The state in the file and its log; empty when there is none."""
        state = cls(path=path)
        if path.exists():
            document = json.loads(path.read_text(encoding="utf-8"))
            state.creating = set(document["creating"])
            for raw in document["records"]:
                state._keep(Record(**raw))
        for step in _steps(state._log_path):
            state._repeat(step)
        return state

    @property
    def records(self) -> list[Record]:
        with self._lock:
            return list(self._by_number.values())

    def find(self, urn: str) -> Record | None:
        """The record of a URN that is not replaced."""
        with self._lock:
            return self._present.get(urn)

    def begin(self, urn: str) -> None:
        """Note that `urn` is being made: if this process dies, it is unknown how far it got."""
        with self._lock:
            self._write({"begin": urn})
            self.creating.add(urn)

    def put(self, record: Record) -> None:
        """Add the record, or write it again after a change."""
        with self._lock:
            record.number = record.number or self._last + 1
            self._write({"put": asdict(record)})
            self._keep(record)

    def abandon(self, urn: str) -> None:
        """Note that making `urn` failed and left nothing."""
        with self._lock:
            self._write({"abandon": urn})
            self.creating.discard(urn)

    def remove(self, record: Record) -> None:
        with self._lock:
            self._write({"remove": record.number})
            self._drop(record.number)

    def _keep(self, record: Record) -> None:
        self.creating.discard(record.urn)
        record.number = record.number or self._last + 1
        self._last = max(self._last, record.number)
        self._by_number[record.number] = record
        if not record.replaced:
            self._present[record.urn] = record
        else:
            self._forget(record)

    def _drop(self, number: int) -> None:
        if record := self._by_number.pop(number, None):
            self._forget(record)

    def _forget(self, record: Record) -> None:
        present = self._present.get(record.urn)
        if present and present.number == record.number:
            del self._present[record.urn]

    def _repeat(self, step: Mapping[str, Any]) -> None:
        """Do a step of the log again; it may be in the file already."""
        match step:
            case {"begin": urn}:
                self.creating.add(urn)
            case {"abandon": urn}:
                self.creating.discard(urn)
            case {"put": raw}:
                self._keep(Record(**raw))
            case {"remove": number}:
                self._drop(number)
            case _:
                raise ValueError(f"{self._log_path}: unknown step {step}")

    @property
    def _log_path(self) -> Path:
        return self.path.with_suffix(".log")

    def _write(self, step: Mapping[str, Any]) -> None:
        """Add a step to the log, which the first one begins."""
        if self._log is None:
            self._write_file()
            self._log = self._log_path.open("w", encoding="utf-8")
        self._log.write(json.dumps(step) + "\n")
        self._log.flush()

    def _write_file(self) -> None:
        document = {
            "version": VERSION,
            "creating": sorted(self.creating),
            "records": [asdict(record) for record in self.records],
        }
        draft = self.path.with_suffix(".tmp")
        draft.write_text(json.dumps(document, indent=1), encoding="utf-8")
        draft.replace(self.path)  # a reader, or a crash, sees the old file or the new one


def _steps(log: Path) -> Iterator[Mapping[str, Any]]:
    """The steps in a log. A line that is not whole is of a process that was killed before it went on."""
    if log.exists():
        for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)
