"""The one list of the names that streamback gives to attributes, columns, tables and variables."""

import re
import zlib
from typing import Any

ORIGIN_ATTRIBUTE = "streamback_origin"  # on an item that copy wrote (functions/domain/origin.py)
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
READ_ONLY = "streamback: read-only, "  # begins the error of a table that `complete` has left read-only
NOT_PREPARED = "streamback: the entity has no control row"
CLAIM_PROCEDURE = "streamback_claim"  # raises an entity's token, so that calls with a lower one are refused
HOLD_PROCEDURE = "streamback_hold"  # holds an entity's triggers for a session that changes them
TRIGGERS_BUSY = "streamback: another command is changing the triggers"
TRIGGERS_NEEDED = "streamback: the fence is up and needs its triggers"
TOKENS_TABLE = "streamback_tokens"  # one row an entity: the token of the operator that acted last
CONTROL_TABLE = "streamback_control"  # one row an entity: the fence, and the current epoch
# Columns of control: since when legacy, or modern, is the source of truth, and the bridge applies the stream.
CONTROL_MOMENTS = ("legacy_since", "modern_since", "bridged_since")
CHANGES_TABLE = "streamback_changes"  # copy's queue
REPLAYS_TABLE = "streamback_replays"  # one row a key whose change the bridge is replaying by legacy's own function
ARRIVED = 2  # in its column `backfill`: legacy inserted a row under the key, or moved one to it
PROXY = re.compile(r"\.proxy-[a-z0-9]+\.")  # in the name of a host that is an RDS Proxy
BRIDGE_USER = "streamback_bridge"

KEY_BYTES = 255  # longest item key; fits the index limit of every InnoDB row format
RESERVED_PREFIX = "streamback_"
STAGE = "prod"
LANES = 4  # of copy, per entity: the keys of one lane have one writer
RANGE_PARTITIONS = 16  # of the journal, for the records of copy's ranges
LEASE_TOKEN = "token"  # noqa: S105  # of a lane's record: under which its worker may write; absent when none may

# The records of an entity in the journal table. The gate's are spread over partitions: see `gate_keys`.
STATE_RECORD, GATE_RECORD, COPY_RECORD, VERIFIED_RECORD = "state", "gate", "copy", "verified"
# One partition of DynamoDB takes 1,000 writes a second, and each request makes two. Never fewer: the runbook reads all.
GATE_RECORDS = 16
REQUEST_PREFIX = "in#"  # of an attribute of a gate record; its value is the second until which that request counts
GATE_MARK = "streamback_gate"  # in an event: the gate has counted the request in
ADOPTED_RECORD = "adopted"  # what `runbook adopt` has changed, with the values before
ADOPTED_API = "the adopted API"  # in an entity's place, of the API's record and lock; no entity can have this name
DRAINED_RECORD = "drained"  # the moment before which Aurora has all that the stream had
TABLE_POLICY_RECORD = "table-policy"  # the modern table's policy before `rollback --fence-modern` changed it


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


def range_key(entity: str, number: int) -> dict[str, Any]:
    """The journal's key of a range of copy. Spread over partitions: each transaction of a worker checks its record."""
    partition = f"{entity}#range{number % RANGE_PARTITIONS}"  # no entity can have this name
    return {"entity": {"S": partition}, "record": {"S": f"range#{number}"}}


def gate_partition(entity: str, number: int) -> str:
    """The journal's partition that holds one of an entity's gate records; no entity can have this name."""
    return f"{entity}#{number}"


def gate_keys(entity: str) -> list[dict[str, Any]]:
    """The keys of an entity's gate records, as DynamoDB takes them."""
    return [
        {"entity": {"S": gate_partition(entity, number)}, "record": {"S": GATE_RECORD}}
        for number in range(GATE_RECORDS)
    ]


def gate_key_of(entity: str, request: str) -> dict[str, Any]:
    """The key of the gate record that counts a request."""
    return gate_keys(entity)[zlib.crc32(request.encode()) % GATE_RECORDS]
