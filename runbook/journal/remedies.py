"""The exact command that resumes an interrupted operation."""

from runbook.journal.journal import Operation, State

COMMANDS = (
    "cutover",
    "rollback",
    "complete",
)  # what an operation's command begins with when an operator typed it
BACK = "rollback reads"  # for what the runbook began by itself: the watch that takes reads back


def resuming(operation: Operation, entity: str) -> str:
    """The command line that finishes or undoes an interrupted operation of an entity."""
    typed = operation.command if operation.command.startswith(COMMANDS) else BACK
    return f"runbook {typed} --entity {entity} --execute"


def first(state: State) -> str:
    """What to do about a switch that is under way, before anything else, as a sentence."""
    if state.operation is None:
        return f"See `runbook status --entity {state.entity}`."
    act = resuming(state.operation, state.entity)
    return f"Resume it first with `{act}`: it finishes or undoes what is under way, then does what it says."
