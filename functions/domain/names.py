"""The one list of the names that streamback gives to attributes, columns, tables and variables."""

import zlib
from typing import Any

ORIGIN_ATTRIBUTE = "streamback_origin"
ORIGIN_LEGACY = "legacy"
DELETING_ATTRIBUTE = "streamback_deleting"  # on an item that copy is about to delete
HEARTBEAT_ATTRIBUTE = "streamback_probe"
HEARTBEAT_KEY = "streamback-probe"

KEY_COLUMN = "streamback_key"
SEQUENCE_COLUMN = "streamback_sequence"
EPOCH_COLUMN = "streamback_stamp"  # the epoch in which legacy last wrote the row
DELETES_TABLE = "streamback_deletes"
HEARTBEATS_TABLE = "streamback_probes"
STREAMS_TABLE = "streamback_streams"
FENCE_PROCEDURE = "streamback_fence"  # changes a row of control, and waits for writers a few seconds only
FENCE_MOVED = "streamback: another command has changed the fence since"
CONTROL_TABLE = "streamback_control"  # one row an entity: the fence, and the current epoch
CHANGES_TABLE = "streamback_changes"  # copy's queue
BRIDGE_USER = "streamback_bridge"

KEY_BYTES = 255  # longest item key; fits the index limit of every InnoDB row format
RESERVED_PREFIX = "streamback_"
STAGE = "prod"
LANES = 4  # of copy, per entity: the keys of one lane have one writer

# The records of an entity in the journal table.
STATE_RECORD, GATE_RECORD, COPY_RECORD, VERIFIED_RECORD = "state", "gate", "copy", "verified"
DRAINED_RECORD = "drained"  # the moment before which Aurora has all that the stream had

# What the stream mapping lets through: every REMOVE, and what copy has not written.
# The list is an OR. On AWS `anything-but` does not match a missing attribute, so absence has its own line.
BRIDGE_FILTERS: tuple[dict[str, Any], ...] = (
    {"eventName": ["REMOVE"]},
    {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {ORIGIN_ATTRIBUTE: {"S": [{"exists": False}]}}}},
    {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"NewImage": {ORIGIN_ATTRIBUTE: {"S": [{"anything-but": [ORIGIN_LEGACY]}]}}},
    },
)


def reads_variable(entity: str) -> str:
    """The stage variable that names the function behind an entity's public reads."""
    return f"{entity}_reads"


def writes_variable(entity: str) -> str:
    """The stage variable that names the function behind an entity's public writes."""
    return f"{entity}_writes"


def lane_record(lane: int) -> str:
    """The journal's record of a lane of copy."""
    return f"lane#{lane}"


def lane_of(key: str) -> int:
    """The lane of an item key; the triggers compute it the same way."""
    return zlib.crc32(key.encode()) % LANES
