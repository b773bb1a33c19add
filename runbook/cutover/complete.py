"""What `runbook complete` does: its steps, what they remove from Aurora, and what is left to do afterwards.

Reads and writes are on modern already and stay there. The phase `complete` commits: from then on the bridge no longer
writes to Aurora and there is no rollback, so all that the stream has is waited for before. Writes continue meanwhile.
What comes until the mapping is off is applied by this process; Aurora does not need what comes later. The removal
itself runs in the install function: functions/install/uninstall.py.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from functions.aws.mysql_errors import DataApiError
from functions.domain import names
from functions.install import uninstall
from runbook.aws import lambda_calls
from runbook.aws.aurora import refusal
from runbook.aws.outputs import EntityTarget
from runbook.checks import bridge, plans
from runbook.checks.check import demand
from runbook.checks.plans import CheckScope
from runbook.cutover.drain import StreamDrain
from runbook.cutover.steps import SwitchRun
from runbook.journal.journal import Phase, State
from runbook.journal.operation import Step
from runbook.stack import Context

PARTS = ("legacy", "modern")
OFF = frozenset({"", "Disabled", "Disabling", "Deleting"})  # states of a stream mapping that applies nothing
REMOVES = "from Aurora: triggers, invisible columns and their index; helper tables and the bridge's user when unneeded"


@dataclass(frozen=True)
class Complete:
    run: SwitchRun

    def steps(self) -> list[Step]:
        choices = replace(self.run.choices, hold=self.run.choices.timeout)  # no client is held here
        calm = replace(self.run, choices=choices)
        stream = StreamDrain(calm)
        return [
            Step(
                name="follow",
                says="wait until the bridge has applied all that the stream has",
                do=lambda: self._follow(stream),
            ),
            Step(
                name="bridge-off",
                says="stream mapping off: the bridge no longer writes to Aurora",
                do=lambda: self._switch(enabled=False),
                unsays="stream mapping on",
                undo=lambda: self._switch(enabled=True),
            ),
            Step(
                name="last",
                says="apply what came until then; nothing may be in quarantine",
                do=lambda: _apply_last(calm, stream),
            ),
            self.run.phase(Phase.COMPLETE, commit=True),
            *self._removal(),
        ]

    def leftovers(self) -> list[Step]:
        """The steps where the phase is `complete` already, but something of streamback is still there."""
        off = Step(name="bridge-off", says="stream mapping off", do=lambda: self._switch(enabled=False))
        return [self.run.phase(Phase.COMPLETE, commit=True), off, *self._removal()]

    def _removal(self) -> list[Step]:
        return [
            Step(name="copy-off", says="copy stopped for good", do=self._stop_copy),
            Step(name="remove", says=REMOVES, do=self._remove),
        ]

    def _follow(self, stream: StreamDrain) -> None:
        """The quarantine must be empty, too: its entries count as applied for a rollback, but not here."""
        stream.follow()
        stream.approach()
        demand(plans.checks(self.run.context, self.run.entity, CheckScope.BRIDGE, send_heartbeat=False))

    def _switch(self, *, enabled: bool) -> None:
        functions, mapping = self.run.context.clients.functions, self.run.entity.bridge_mapping_id
        lambda_calls.switch_mapping(functions, mapping, enabled=enabled)

    def _stop_copy(self) -> None:
        journal, name = self.run.context.journal, self.run.entity.name
        record = journal.find_record(name, names.COPY_RECORD)
        if record:
            journal.change_record(name, names.COPY_RECORD, {"state": "stopped"}, {"started_at": record["started_at"]})

    def _remove(self) -> None:
        event = {"action": "remove", "entity": self.run.entity.name}
        self.run.context.invoke(self.run.context.target.bridge_install_function, event, "runbook complete")


def _apply_last(run: SwitchRun, stream: StreamDrain) -> None:
    """With the mapping off the bridge applies nothing more; draining looks into the quarantine too."""
    run.held_since = time.monotonic()
    stream.drain()


def left_over(context: Context, entity: EntityTarget) -> list[str]:
    """What is still there although the phase is `complete`; without a bridge the install function is gone, too."""
    if not context.target.bridge_install_function or not bridge.deployed(context.target, entity):
        return []
    mapping = [] if context.mapping_state(entity) in OFF else ["the stream mapping"]
    context.aurora.query("", "SELECT 1")  # waits for a database that wakes
    try:
        return mapping + uninstall.leftovers(context.aurora.database(), context.target.mapping[entity.name])
    except DataApiError as error:
        raise refusal(error) from error


@dataclass(frozen=True, kw_only=True)
class Afterwards:
    """What is left to do with the stack.

    Attributes:
        waiting: entities that still need the bridge; nothing is to be changed before they are complete.
        setting: the setting to change for the next `pulumi up`.
        value: its new value.
        protected: whether production protects what is to be removed.
    """

    waiting: tuple[str, ...]
    setting: str
    value: tuple[str, ...]
    protected: bool


def afterwards(context: Context) -> Afterwards:
    """What to change for the next `pulumi up`, now or when the last entity is complete."""
    states: Mapping[str, State | None] = {name: context.journal.find(name) for name in context.target.entities}
    return Afterwards(
        waiting=tuple(name for name, state in states.items() if state is None or state.phase != Phase.COMPLETE),
        setting="streamback:parts",
        value=PARTS,
        protected=context.target.production,
    )
