"""Copy's lanes, called from here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from functions.domain import names
from runbook.aws.outputs import EntityTarget

if TYPE_CHECKING:
    from runbook.stack import Context


def wake(context: Context, entity: EntityTarget) -> None:
    """Call every lane at once; one that has a worker refuses the second."""
    for lane in range(names.LANES):
        event = json.dumps({"entity": entity.name, "lane": lane}).encode()
        context.clients.functions.invoke(
            FunctionName=context.target.copy_function, InvocationType="Event", Payload=event
        )
