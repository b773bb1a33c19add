"""One deployed stack: finds it (--stack, --outputs or the running sandbox) and holds what services work with.

`Context` has the target, its AWS clients, the journal, the routes, the API and the legacy database.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from functions.aws.session_function import SessionFunction
from functions.aws.statement_function import StatementFunction
from functions.bridge.ownership import Authority
from runbook.aws import lambda_calls, schedules
from runbook.aws.api_gateway import Routing
from runbook.aws.aurora import Aurora
from runbook.aws.clients import Clients, silent
from runbook.aws.http import ApiClient
from runbook.aws.outputs import EntityTarget, Target, parse
from runbook.aws.stream import Follower
from runbook.errors import UsageError
from runbook.journal.journal import Journal
from runbook.journal.lock import Lease, describe, held

Say = Callable[[str], None]


@dataclass(frozen=True)
class Context:
    """What services work with.

    Attributes:
        take_over: whether a lock is taken from another operator who may be at work.
    """

    target: Target
    clients: Clients
    say: Say = silent
    take_over: bool = False

    @classmethod
    def of(cls, target: Target, say: Say = silent) -> Context:
        return cls(target, Clients(target), say)

    @cached_property
    def journal(self) -> Journal:
        return Journal(self.clients.dynamodb, self.target.journal_table)

    @cached_property
    def routing(self) -> Routing:
        """The public endpoint's routes."""
        return Routing(self.clients.apigateway, self.target)

    @cached_property
    def api(self) -> ApiClient:
        return ApiClient(self.target, self.clients.session)

    @cached_property
    def aurora(self) -> Aurora:
        target = self.target
        if target.statement_function:
            function = StatementFunction(self.clients.functions_inside, target.statement_function)
            return Aurora(
                cast("Any", function),
                target.cluster_arn,
                target.master_secret_arn,
                target.bridge_secret_arn,
                function.sessions(target.master_secret_arn),
            )
        return Aurora(
            self.clients.rds_data,
            target.cluster_arn,
            target.master_secret_arn,
            target.bridge_secret_arn,
            self._sessions() if target.session_function else None,
        )

    def _sessions(self) -> SessionFunction:
        clients, target = self.clients, self.target
        return SessionFunction(
            clients.functions_once, target.session_function, clients.secrets, target.master_secret_arn
        )

    def follower(  # what a follower may leave out
        self,
        entity: EntityTarget,
        since: datetime | None = None,
        *,
        wanted: Collection[str] | None = None,
        copied: bool = True,
        authority: Authority | None = None,
    ) -> Follower:
        """A follower of the entity's stream (see `Follower`)."""
        return Follower(self.clients, entity, since, wanted, copied=copied, authority=authority, say=self.say)

    @contextmanager
    def held(self, entity: EntityTarget, command: str) -> Generator[Lease]:
        """Hold the entity's lock for the block (see `runbook.journal.lock.held`); answers to requests are progress."""
        journal, operator = self.journal, self.clients.operator
        if self.take_over and (lock := journal.state(entity.name).lock):
            self.say(f"taking over from {describe(lock)}")
        with (
            held(journal, entity.name, operator, command, take_over=self.take_over) as lease,
            self.clients.reporting(lease.progress),
        ):
            yield lease

    def invoke(self, function: str, event: Mapping[str, Any], again: str = "runbook init") -> Mapping[str, Any]:
        """Call a function that prepares Aurora; `again` is the command to run after a failure."""
        return lambda_calls.invoke(self.clients.functions, function, event, again, self.say)

    def wake_lanes(self, entity: EntityTarget) -> None:
        """Call every lane of the entity's copy."""
        lambda_calls.wake_lanes(self.clients.functions, self.target.copy_function, entity.name)

    def schedule_states(self, entity: EntityTarget) -> list[str]:
        """The state of each schedule of the entity's copy; empty where the outputs name none."""
        return schedules.states(self.clients.scheduler, entity.copy_schedules)

    def switch_schedules(self, entity: EntityTarget, *, enabled: bool, check: Callable[[], None]) -> None:
        """Enable or disable the schedules of the entity's copy; `check` raises once the lock may be another's."""
        schedules.switch(self.clients.scheduler, entity.copy_schedules, enabled=enabled, check=check)

    def mapping_state(self, entity: EntityTarget) -> str:
        """The state of the bridge's stream mapping; empty when there is none."""
        return lambda_calls.mapping_state(self.clients.functions, entity.bridge_mapping_id)


def resolve(stack: str | None = None, outputs: Path | None = None, folder: Path | None = None) -> Target:
    """The stack that `--stack` or `--outputs` names, else the running sandbox.

    Args:
        stack: a Pulumi stack, read with `pulumi stack output`.
        outputs: a file with the stack's outputs as JSON.
        folder: where to look for `.sandbox` (and in its parents); the working directory by default.

    Raises:
        UsageError: naming the option that cannot be used and what to do instead.
    """
    if stack and outputs:
        raise UsageError("--stack and --outputs name two targets", "Give one of them.")
    if stack:
        return parse(_from_pulumi(stack), f"--stack {stack}")
    if outputs:
        return parse(_from_file(outputs, f"--outputs {outputs}"), f"--outputs {outputs}")
    path = _sandbox_outputs(folder or Path.cwd())
    return parse(_from_file(path, f"the sandbox in {path.parent}"), f"the sandbox in {path.parent}")


def _from_pulumi(stack: str) -> Mapping[str, Any]:
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    instead = "Or save the outputs to a file where pulumi runs and name it with --outputs FILE."
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # no shell
    except FileNotFoundError as error:
        raise UsageError(f"--stack {stack}: the pulumi command is not on the PATH", instead) from error
    if done.returncode:
        said = done.stderr.strip() or f"exit code {done.returncode}"
        raise UsageError(f"--stack {stack}: pulumi says: {said}", f"See `pulumi stack ls`. {instead}")
    return _document(done.stdout, f"--stack {stack}")


def _from_file(path: Path, source: str) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UsageError(
            f"{source}: cannot read {path.name}: {reason}", "Write it with `pulumi stack output --json > FILE`."
        ) from error
    return _document(text, source)


def _document(text: str, source: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{source}: the outputs are not JSON: {error}", "Expected one JSON object.") from error
    if not isinstance(value, dict):
        raise UsageError(f"{source}: the outputs are not one JSON object", "Expected one JSON object.")
    return cast("Mapping[str, Any]", value)


def _sandbox_outputs(start: Path) -> Path:
    for folder in (start, *start.parents):
        current = folder / ".sandbox" / "current"
        if current.is_file():
            path = current.parent / current.read_text(encoding="utf-8").strip() / "outputs.json"
            if path.is_file():
                return path
    raise UsageError(
        "no sandbox is running here, and no other target was named",
        "Start one with `sandbox up`, or name a target with --stack NAME or --outputs FILE.",
    )
