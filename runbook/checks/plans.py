"""`runbook preflight`: every hazard of the road as a check, before anything is changed.

Reads the control planes and Aurora's dictionary; of the table only both ends of its primary index and a bounded sample.
"""

from __future__ import annotations

from functions.domain import names
from runbook.aws.aurora import Aurora
from runbook.aws.outputs import EntityTarget
from runbook.checks import bridge as health
from runbook.checks import clocks, cluster, columns, deployment, keys, schema, server, sizes, table, triggers
from runbook.checks.check import Check, green
from runbook.checks.schema import Facts
from runbook.journal.journal import State
from runbook.stack import Context


def checks(context: Context, entity: EntityTarget, *, quick: bool = False) -> list[Check]:
    """Every check of one entity; `quick` leaves out the sample of rows."""
    state = context.journal.find(entity.name)
    found = [deployment.journal(state)]
    if state and not green(found):
        return found  # complete: nothing of the road is there any more
    bridge = health.bridge(context.clients, context.target, entity)
    found += cluster.checks(context.clients, context.target)
    if not found[-1].ok:
        return [*found, *bridge, _unmade("the Data API")]
    found += _legacy(context, entity, state, quick=quick)
    if entity.bridge_mapping_id:
        found += [*bridge, *deployment.checks(context, entity, state), clocks.check(context, entity)]
    else:
        found += bridge
    return found


def _legacy(context: Context, entity: EntityTarget, state: State | None, *, quick: bool) -> list[Check]:
    described, target = context.target.mapping[entity.name], context.target
    session = server.read(context.aurora)
    known = schema.read(context.aurora, described)
    found = server.checks(session, known, sandbox=target.endpoint_url is not None)
    if known.table is None:
        return [*found, table.exists(known), _unmade("the legacy table")]
    found += [*table.checks(known), *keys.checks(context.aurora, known), *columns.checks(known)]
    if not quick:
        found += _sizes(context, known)
    if target.bridge_secret_arn:
        of_bridge = Aurora(context.clients.rds_data, target.cluster_arn, target.bridge_secret_arn)
        found.append(server.bridge(of_bridge, described))
    if names.CONTROL_TABLE in known.helpers:
        found.append(deployment.fence(context, described, state))
        if state and context.journal.find_record(described.name, names.COPY_RECORD):
            found += triggers.checks(context.aurora, described)
    return found


def _sizes(context: Context, known: Facts) -> list[Check]:
    if known.key is None:
        return [_unmade("the primary key")]
    context.say(f"looking at the sizes of {known.entity.name}'s rows")
    return sizes.checks(context.aurora, known)


def _unmade(before: str) -> Check:
    return Check(name="the rest", ok=None, value=f"not looked at without {before}", limit="looked at")
