"""The one list of the names that streamback gives to attributes, columns, tables and variables."""

from __future__ import annotations

from typing import Any

ORIGIN_ATTRIBUTE = "streamback_origin"
ORIGIN_LEGACY = "legacy"
PROBE_ATTRIBUTE = "streamback_probe"
PROBE_KEY = "streamback-probe"

KEY_COLUMN = "streamback_key"
SEQUENCE_COLUMN = "streamback_sequence"
DELETES_TABLE = "streamback_deletes"
PROBES_TABLE = "streamback_probes"
STREAMS_TABLE = "streamback_streams"
BRIDGE_USER = "streamback_bridge"

KEY_BYTES = 255  # longest item key; fits the index limit of every InnoDB row format
RESERVED_PREFIX = "streamback_"
STAGE = "prod"

# What the stream mapping lets through: every REMOVE, and what copy has not written.
# The list is an OR. On AWS `anything-but` does not match a missing attribute, so absence has its own line.
BRIDGE_FILTERS: tuple[dict[str, Any], ...] = (
    {"eventName": ["REMOVE"]},
    {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"NewImage": {ORIGIN_ATTRIBUTE: {"S": [{"exists": False}]}}},
    },
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
