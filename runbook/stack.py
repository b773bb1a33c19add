"""What a service works with: the target, its clients, and the journal, routes and API of that stack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from runbook.aws.api_gateway import Routing
from runbook.aws.aurora import Aurora
from runbook.aws.clients import Clients
from runbook.aws.http import Api
from runbook.aws.outputs import Target
from runbook.journal.journal import Journal

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Progress that nobody wants to hear."""


@dataclass(frozen=True)
class Context:
    """One stack, as the services see it."""

    target: Target
    clients: Clients
    say: Say = silent

    @classmethod
    def of(cls, target: Target, say: Say = silent) -> Context:
        """The context of a target, with its own clients."""
        return cls(target, Clients(target), say)

    @cached_property
    def journal(self) -> Journal:
        """The stack's journal."""
        return Journal(self.clients.dynamodb, self.target.journal_table)

    @cached_property
    def routing(self) -> Routing:
        """The public endpoint's routes."""
        return Routing(self.clients.apigateway, self.target)

    @cached_property
    def api(self) -> Api:
        """The deployed API."""
        return Api(self.target, self.clients.session)

    @cached_property
    def aurora(self) -> Aurora:
        """The legacy database."""
        target = self.target
        return Aurora(self.clients.rds_data, target.cluster_arn, target.master_secret_arn, target.bridge_secret_arn)
