"""`runbook complete`."""

from runbook.checks import heartbeat
from runbook.commands import _output
from runbook.commands import rendering_complete as rendering
from runbook.commands._options import (
    EntityOption,
    ExecuteOption,
    JsonOption,
    OutputsOption,
    PatienceOption,
    StackOption,
    YesOption,
)
from runbook.commands._plan import Asked, perform
from runbook.commands._session import confirm, opened
from runbook.cutover import complete as service
from runbook.cutover.command import Completion
from runbook.cutover.steps import Choices


def complete(  # noqa: PLR0913, PLR0917  # each is an option of the command
    entity: EntityOption = None,
    execute: ExecuteOption = False,
    yes: YesOption = None,
    probe_timeout: PatienceOption = heartbeat.TIMEOUT,
    stack: StackOption = None,
    outputs: OutputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the scaffolding down, for good.

    From phase modern only, with all reads on modern and nothing left to apply. Stops the bridge, and takes triggers,
    invisible columns, helper tables and the bridge's user out of Aurora: its tables are as they were before init, and
    no longer kept true. Traffic stays on modern; there is no way back. Shows the plan; --execute acts.
    """
    asked = Asked(execute=execute, yes=yes, as_json=as_json, stack=stack, outputs=outputs)
    with opened(stack, outputs, as_json=as_json) as context:
        completion = Completion(context, context.target.entity(entity), Choices(timeout=probe_timeout))
        if execute:
            _act(completion, asked)
            return
        if not as_json:
            rendering.meaning(completion.entity)
        perform(context, completion, asked)


def _act(completion: Completion, asked: Asked) -> None:
    context, entity = completion.context, completion.entity
    confirm(context, asked.again(completion.command, entity.name), asked.yes, as_json=asked.as_json)
    result = completion.execute()
    left = service.afterwards(context)
    if asked.as_json:
        _output.document({"entity": entity.name, "executed": True, **_output.plain(result), "afterwards": left})
        return
    _output.done(entity.name, result)
    rendering.ended(entity, left)
