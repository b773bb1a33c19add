"""What the tests of cutover and rollback of writes share."""

from __future__ import annotations

import time
from collections.abc import Callable

from journal_states import long_at_the_gate

from functions.domain.phase import Phase
from functions.install.control_row import Control
from runbook.aws.api_gateway import Side
from runbook.aws.http import path
from runbook.aws.outputs import EntityTarget
from runbook.checks import copy as copy_checks
from runbook.checks import plans
from runbook.checks.check import Check
from runbook.checks.plans import CheckScope
from runbook.copy import control as copy_control
from runbook.copy.control import CopyLimits
from runbook.cutover.command import Scope, Switch
from runbook.cutover.fence import Fence
from runbook.cutover.steps import Choices, OperationKind
from runbook.stack import Context

ENTITY = "chefs"
QUICK = Choices(propagation_wait=0.0, warm=1, reads_stay=True)
DIRECT = Choices(propagation_wait=0.0, warm=1, direct=True, reads_stay=True)
FORCED = Choices(propagation_wait=0.0, warm=1, force=True, reads_stay=True)
TIMEOUT = 60.0
LEGACY, MODERN = (Phase.LEGACY, Side.GATE, False), (Phase.MODERN, Side.GATE, True)


def switch(context: Context, verb: str, scope: Scope = Scope.WRITES, choices: Choices = QUICK) -> Switch:
    """One command of the operator."""
    return Switch(context, context.target.entity(ENTITY), OperationKind(verb), scope, choices)


def bring_back(context: Context) -> None:
    """Everything on legacy, whatever was."""
    switch(context, "rollback", Scope.BOTH).execute()


def until(holds: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + TIMEOUT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_copy(context: Context) -> None:
    """Copy runs and has caught up; the gate has been in the path of writes for long."""
    entity = context.target.entity(ENTITY)
    copy_control.start(context, entity, CopyLimits(), again=False)
    long_at_the_gate(context, ENTITY)
    until(lambda: not [check for check in copy_checks.checks(context, entity)[:-1] if not check.ok])


def control(context: Context) -> Control:
    """The entity's fence and epoch in Aurora."""
    return Fence(context, context.target.entity(ENTITY)).control()


def stands(context: Context) -> tuple[Phase, Side | None, bool]:
    """Phase, the route of writes, and whether the fence is up."""
    entity = context.target.entity(ENTITY)
    return (context.journal.state(ENTITY).phase, context.routing.routes(entity).writes, control(context).fenced)


def write(context: Context, first: str, key: str = "", system: str = "") -> str:
    """Make a record, or replace one; its key."""
    where = path(*[part for part in (system, ENTITY, key) if part])
    answer = context.api.request("PUT" if key else "POST", where, {"firstName": first, "lastName": "x"})
    assert answer.status in {200, 201}, answer
    return answer.body["id"]


def first_name(context: Context, system: str, key: str) -> str | None:
    """What a system says of a record."""
    answer = context.api.get(path(system, ENTITY, key))
    return answer.body["firstName"] if answer.status == 200 else None


def bridge_checks(context: Context, entity: EntityTarget) -> list[Check]:
    """The checks of the bridge, without a heartbeat."""
    return plans.checks(context, entity, CheckScope.BRIDGE, send_heartbeat=False)
