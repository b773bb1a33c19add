"""Prints the policies of the roles around a stack: `python -m components.access_policies ROLE --stack NAME …`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components import previewing
from components.adoption import AdoptionKind
from components.deploying import DEPLOYING
from components.operating import (
    ACTING,
    ADOPTED_ACTING,
    ADOPTED_BOUNDARY,
    ADOPTED_LOOKING_UP,
    ADOPTED_READING,
    BOUNDARY,
    READING,
)
from components.previewing import PREVIEWING
from components.rights import Right, StackNames, documents, statements
from functions.domain import entities

DEPLOY = tuple(each for rights in DEPLOYING.values() for each in rights)
ROLES: Mapping[str, tuple[Right, ...]] = {
    "deploy": DEPLOY,
    "preview": PREVIEWING,
    "operate": (*READING, *ACTING),
    "read": READING,
    "boundary": BOUNDARY,
}
# Beside that, where Pulumi's state is in a bucket, and where its secrets have a key.
STATE = {"deploy": previewing.STATE_WRITING, "preview": previewing.STATE_READING}
SECRETS = {"deploy": previewing.SECRETS_WRITING, "preview": previewing.SECRETS_READING}
ADOPTED: Mapping[str, tuple[Right, ...]] = {
    "deploy": ADOPTED_LOOKING_UP,
    "preview": ADOPTED_LOOKING_UP,
    "operate": (*ADOPTED_READING, *ADOPTED_ACTING),
    "read": ADOPTED_READING,
    "boundary": ADOPTED_BOUNDARY,
}


def of(role: str, named: StackNames, *, adopts: bool = False) -> list[dict[str, Any]]:
    """The documents of one role; IAM's quota divides a long one.

    Args:
        adopts: whether the stack has adopted something.
    """
    state = STATE.get(role, ()) if named.state_bucket else ()
    secrets = SECRETS.get(role, ()) if named.state_key else ()
    adopted = ADOPTED.get(role, ()) if adopts else ()
    return documents(statements([*ROLES[role], *state, *secrets, *adopted], named))


def main() -> None:
    given = _arguments()
    adopted = AdoptionKind().read(given.adopt)
    mapped = entities.load(given.entities)
    tables = [adopted.entity(name).table or f"{given.table_prefix}{each.modern.table}" for name, each in mapped.items()]
    named = StackNames(
        stack=given.stack,
        account=given.account,
        region=given.region,
        partition=given.partition,
        boundary=given.boundary,
        state_bucket=given.state_bucket,
        state_key=given.state_key,
        tables=tables,
        functions=adopted.functions,
        clusters=adopted.clusters,
        instances=adopted.instances,
        secrets=adopted.secrets,
    )
    json.dump(of(given.role, named, adopts=bool(adopted)), sys.stdout, indent=2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print the policies of a role as a JSON list.")
    parser.add_argument("role", choices=list(ROLES), help="whose policies to print")
    parser.add_argument("--stack", required=True, help="the Pulumi stack's name")
    parser.add_argument("--account", required=True, help="the account's number")
    parser.add_argument("--region", default="us-east-1", help="the region (default: us-east-1)")
    parser.add_argument("--partition", default="aws", help="the partition (default: aws)")
    parser.add_argument("--entities", type=Path, default=Path("entities.toml"), help="the mapping's file")
    parser.add_argument("--table-prefix", default="", help="the setting tablePrefix")
    parser.add_argument("--boundary", default="", help="the ARN of the boundary's policy that roles must carry")
    parser.add_argument("--state-bucket", default="", help="the S3 bucket of Pulumi's state, if it has one")
    parser.add_argument("--state-key", default="", help="the ARN of the KMS key of Pulumi's secrets")
    parser.add_argument("--adopt", default="{}", help="the setting adopt, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
