"""`runbook complete`: the scaffolding comes down once modern has everything; there is no way back from there."""

from __future__ import annotations

from dataclasses import dataclass

from functions.aws.mysql_errors import DataApiError
from functions.install import uninstall
from runbook.aws.api_gateway import Routes
from runbook.aws.outputs import EntityTarget
from runbook.checks import bridge, plans
from runbook.checks.check import Check
from runbook.checks.plans import CheckScope
from runbook.cutover.command import Scope, Switch
from runbook.cutover.complete_steps import LEFTOVERS, mapping_state
from runbook.cutover.steps import Choices
from runbook.errors import FailedError
from runbook.journal.journal import Phase, State
from runbook.stack import Context

VERB = "complete"
PARTS = ("legacy", "modern")
OFF = frozenset({"", "Disabled", "Disabling", "Deleting"})  # states of a stream mapping that applies nothing


@dataclass(frozen=True, kw_only=True)
class Afterwards:
    """What is left to do with the stack.

    Attributes:
        waiting: entities that still need the bridge; nothing is to be changed before they are complete.
        setting: the setting to change for the next `pulumi up`.
        value: its new value.
        protected: whether production protects what is to go.
    """

    waiting: tuple[str, ...]
    setting: str
    value: tuple[str, ...]
    protected: bool


@dataclass(frozen=True)
class Completion(Switch):
    """The last command for one entity."""

    @classmethod
    def of(cls, context: Context, entity: EntityTarget, choices: Choices) -> Completion:
        """The command for an entity."""
        return cls(context, entity, VERB, Scope.BOTH, choices)

    @property
    def command(self) -> str:
        """The command as the journal tells it."""
        return VERB

    def _choices(self, needed: str) -> Choices:
        del needed
        return self.choices

    def _needed(self, state: State, routes: Routes) -> str | None:
        del routes
        if state.phase != Phase.COMPLETE:
            return VERB
        return LEFTOVERS if self._leftovers() else None

    def _leftovers(self) -> list[str]:
        """What is there still although the phase is `complete`; without a bridge nothing could take it away."""
        context, entity = self.context, self.entity
        if not context.target.bridge_install_function or not bridge.deployed(context.target, entity):
            return []
        mapping = [] if mapping_state(context, entity) in OFF else ["the stream mapping"]
        described = context.target.mapping[entity.name]
        context.aurora.query("", "SELECT 1")  # waits for a database that wakes
        try:
            return mapping + uninstall.leftovers(context.aurora.database(), described)
        except DataApiError as error:
            raise FailedError(f"Aurora says: {error}", "Run the command again.") from error

    def gates(self, state: State) -> list[Check]:
        context, entity = self.context, self.entity
        if state.phase == Phase.COMPLETE:
            return []
        return plans.checks(context, entity, CheckScope.COMPLETE, state, timeout=self.choices.patience)


def afterwards(context: Context) -> Afterwards:
    """What to change for the next `pulumi up`, now or when the last entity is complete."""
    states = {name: context.journal.find(name) for name in context.target.entities}
    return Afterwards(
        waiting=tuple(name for name, state in states.items() if state is None or state.phase != Phase.COMPLETE),
        setting="streamback:parts",
        value=PARTS,
        protected=context.target.production,
    )
