"""What `runbook complete` does: its steps, what they remove from Aurora, and what is left to do afterwards.

Reads and writes are on modern already and stay there. The phase `complete` commits: from then on the bridge no longer
writes to Aurora and there is no rollback, so all that the stream has is waited for before. Writes continue meanwhile.
What comes until the mapping is off is applied by this process; Aurora does not need what comes later. Then the gate
leaves the path of writes. The removal itself runs in the install function: functions/install/uninstall.py.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from functions.aws.data_api import DataApi
from functions.aws.mysql_errors import DataApiError
from functions.domain import names
from functions.domain.entities import Entity
from functions.domain.phase import Phase
from functions.install import read_only as read_only_triggers
from functions.install import uninstall
from functions.install.online_ddl import TableBusyError
from runbook.aws import lambda_calls
from runbook.aws.api_gateway import Side
from runbook.aws.aurora import refusal
from runbook.aws.clients import FUNCTION_TIMEOUT
from runbook.aws.outputs import EntityTarget
from runbook.aws.schedules import ENABLED
from runbook.checks import adopted, bridge, plans, triggers
from runbook.checks.check import demand
from runbook.checks.plans import CheckScope
from runbook.cutover.drain import StreamDrain
from runbook.cutover.steps import SwitchRun
from runbook.errors import FailedError
from runbook.journal.operation import Step
from runbook.journal.state import State
from runbook.stack import Context

PARTS = ("legacy", "modern")
READ_ONLY = "triggers that refuse every write to the legacy table; TRUNCATE and DDL are not stopped"
WRITABLE = "drop the triggers that refuse writes to the legacy table"
OFF = frozenset({"", "Disabled", "Disabling", "Deleting"})  # states of a stream mapping that applies nothing
REMOVE_SECONDS = 2.0 * FUNCTION_TIMEOUT  # one call of the install function, and the SDK's second
REMOVES = "from Aurora: triggers, invisible columns and their index; helper tables and the bridge's user when unneeded"


@dataclass(frozen=True)
class Complete:
    run: SwitchRun

    def steps(self) -> list[Step]:
        choices = replace(self.run.choices, hold=self.run.choices.timeout)  # no client is held here
        calm = replace(self.run, choices=choices)
        stream = StreamDrain(calm, alone=True)
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
            self.run.writes_to(Side.MODERN),
            *self._removal(),
        ]

    def leftovers(self) -> list[Step]:
        """The steps where the phase is `complete` already, but something of streamback is still there."""
        steps = [self.run.phase(Phase.COMPLETE, commit=True), self.run.writes_to(Side.MODERN)]
        if not _has_bridge(self.run.context, self.run.entity):
            return steps
        off = Step(name="bridge-off", says="stream mapping off", do=lambda: self._switch(enabled=False))
        return [*steps, off, *self._removal()]

    def access(self, *, commit: bool = False) -> Step:
        """Let the legacy table be read-only from now on, or no longer."""
        on = self.run.choices.read_only
        says, do = (READ_ONLY, self._refuse_writers) if on else (WRITABLE, self._let_writers_in)
        return Step(name="read-only" if on else "writable", says=says, do=do, commit=commit)

    def _removal(self) -> list[Step]:
        # why before the removal: until that drops the fence's triggers, they stop every writer
        return [
            Step(name="copy-off", says="copy stopped for good, its schedules disabled", do=self._stop_copy),
            *([self.access()] if self.run.choices.read_only else []),
            Step(name="remove", says=REMOVES, do=self._remove, seconds=REMOVE_SECONDS),
        ]

    def _refuse_writers(self) -> None:
        self._change(read_only_triggers.missing, read_only_triggers.add)

    def _let_writers_in(self) -> None:
        self._change(read_only_triggers.standing, read_only_triggers.remove)

    def _change(
        self, find: Callable[[DataApi, Entity], Sequence[str]], change: Callable[[DataApi, Entity, str], None]
    ) -> None:
        run, server = self.run, self.run.context.aurora.database()
        try:
            for name in run.context.aurora.ask(lambda: find(server, run.described)):
                run.held_lease.check()
                change(server, run.described, name)
        except TableBusyError as error:
            raise FailedError(str(error), "End the transaction, then run the command again.") from error
        except DataApiError as error:
            raise refusal(error) from error

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
            stopped, expected = {"state": "stopped"}, {"started_at": record["started_at"]}
            journal.change_record(name, names.COPY_RECORD, stopped, expected, self.run.held_lease.lock)
        self.run.context.switch_schedules(self.run.entity, enabled=False, check=self.run.held_lease.check)

    def _remove(self) -> None:
        if not self.run.choices.read_only:
            self._let_writers_in()
        block = self.run.choices.block_writers
        event = {"action": "remove", "entity": self.run.entity.name, "block_writers": block}
        self.run.context.invoke(self.run.context.target.bridge_install_function, event, "runbook complete")


def _apply_last(run: SwitchRun, stream: StreamDrain) -> None:
    """With the mapping off the bridge applies nothing more; draining looks into the quarantine too."""
    run.held_since = time.monotonic()
    stream.drain()


def left_over(context: Context, entity: EntityTarget) -> list[str]:
    """What is still there although the phase is `complete`; without a bridge the install function is gone, too."""
    direct = context.routing.routes(entity).writes == Side.MODERN or not adopted.followed(context, entity)
    gate = [] if direct else ["the route of writes"]
    if not _has_bridge(context, entity):
        return gate
    mapping = [] if context.mapping_state(entity) in OFF else ["the stream mapping"]
    schedules = ["copy's schedules"] if ENABLED in context.schedule_states(entity) else []
    context.aurora.query("", "SELECT 1")  # waits for a database that wakes
    try:
        in_aurora = uninstall.leftovers(context.aurora.database(), context.target.mapping[entity.name])
    except DataApiError as error:
        raise refusal(error) from error
    return [*gate, *mapping, *schedules, *in_aurora]


def _has_bridge(context: Context, entity: EntityTarget) -> bool:
    return bool(context.target.bridge_install_function) and bridge.deployed(context.target, entity)


def read_only(context: Context, entity: EntityTarget) -> list[str]:
    """The triggers that refuse writes to the legacy table, by name; none where no legacy system is deployed."""
    if not context.target.cluster_arn:
        return []
    return triggers.refusing(context.aurora, context.target.mapping[entity.name])


def not_read_only(context: Context, entity: EntityTarget) -> list[str]:
    """Those of them that are missing, by name."""
    return triggers.not_refusing(context.aurora, context.target.mapping[entity.name])


def writable_by(context: Context, entity: EntityTarget) -> str:
    """One line of SQL that lets legacy's writers in again; empty where they are not stopped."""
    return read_only_triggers.removal(context.target.mapping[entity.name], read_only(context, entity))


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
