"""Pulumi's values as they travel (protobuf structs) and as the handlers want them (plain Python)."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from google.protobuf import json_format, struct_pb2
from pulumi.runtime.rpc import UNKNOWN

from sandbox.engine.errors import EngineError

# Pulumi marks special objects on the wire by a key and one of these values (sdk/proto, unchanged since 2018).
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # a constant, not a secret
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"

EPOCH = (1980, 1, 1, 0, 0, 0)  # the same files must give the same archive; zip knows no earlier date
READABLE = 0o644 << 16


@dataclass(frozen=True)
class Archive:
    """A code archive, read when it is needed: the files of one in a state may be there no longer.

    Attributes:
        described: how Pulumi names its files.
    """

    described: Mapping[str, Any] = field(repr=False)

    @cached_property
    def files(self) -> dict[str, bytes]:
        """What is in it, by path."""
        return dict(_members(self.described, ""))

    @cached_property
    def content(self) -> bytes:
        """The zip; the same bytes for the same files."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(self.files):
                entry = zipfile.ZipInfo(path, EPOCH)
                entry.external_attr = READABLE
                archive.writestr(entry, self.files[path], zipfile.ZIP_DEFLATED)
        return buffer.getvalue()

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex: the one that Pulumi's engine gives, else that of the zip."""
        return self.described.get("hash") or hashlib.sha256(self.content).hexdigest()


def decode(struct: struct_pb2.Struct) -> dict[str, Any]:
    """A resource's properties: secrets unwrapped, whole numbers as int, archives read; absent where null."""
    raw = json_format.MessageToDict(struct)
    return {key: _decode(value) for key, value in raw.items() if value is not None}


def encode(properties: Mapping[str, Any], asked: struct_pb2.Struct | None = None) -> struct_pb2.Struct:
    """The properties for the program; those that are as it asked go back as they came (archives, secrets)."""
    struct = struct_pb2.Struct()
    struct.CopyFrom(asked or struct)
    given = for_state(decode(struct))
    struct.update({key: value for key, value in for_state(dict(properties)).items() if given.get(key) != value})
    return struct


def for_state(value: Any) -> Any:
    """The value as JSON for the state file: an archive by its digest."""
    if isinstance(value, Archive):
        return {"sha256": value.digest}
    if isinstance(value, dict):
        return {key: for_state(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [for_state(item) for item in cast("list[Any]", value)]
    return value


def has_unknown(value: Any) -> bool:
    """Whether a preview does not know (all of) the value yet."""
    if isinstance(value, dict):
        return any(has_unknown(item) for item in cast("dict[str, Any]", value).values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in cast("list[Any]", value))
    return isinstance(value, str) and UNKNOWN in value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        return _decode_object(cast("dict[str, Any]", value))
    if isinstance(value, list):
        return [_decode(item) for item in cast("list[Any]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _decode_object(value: dict[str, Any]) -> Any:
    match value.get(SIGNATURE):
        case None:
            return {key: _decode(item) for key, item in value.items() if item is not None}
        case str(kind) if kind == SECRET:
            return _decode(value["value"])
        case str(kind) if kind == ARCHIVE:
            return Archive(value)
        case kind:
            raise EngineError(f"a value of an unsupported kind ({kind}); archives and secrets are known")


def _members(value: Mapping[str, Any], path: str) -> list[tuple[str, bytes]]:
    if "uri" in value:
        raise EngineError(f"the archive member {path or '(root)'} is remote; only local files and text are known")
    if "path" in value:
        return _read(Path(value["path"]), path)
    if "assets" in value:
        members = cast("dict[str, dict[str, Any]]", value["assets"])
        return [found for name, member in members.items() for found in _members(member, f"{path}/{name}".lstrip("/"))]
    return [(path, str(value.get("text", "")).encode())] if path else []  # Pulumi's engine leaves an empty text out


def _read(source: Path, path: str) -> list[tuple[str, bytes]]:
    if source.is_dir():
        files = sorted(file for file in source.rglob("*") if file.is_file())
        return [(f"{path}/{file.relative_to(source)}".lstrip("/"), file.read_bytes()) for file in files]
    if not path:
        with zipfile.ZipFile(source) as archive:
            return [(name, archive.read(name)) for name in archive.namelist() if not name.endswith("/")]
    return [(path, source.read_bytes())]
