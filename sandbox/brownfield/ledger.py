"""Whether every write that the shop acknowledged to a load's clients is there, read past every function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandbox.brownfield.system import ENTITY
from sandbox.chaos import checker, final_state
from sandbox.chaos.checker import Story, Violation
from sandbox.chaos.system import Arena
from sandbox.lifecycle import Sandbox
from sandbox.load import History, Shape
from sandbox.load.records import EXPECTED, POST, PUT

FIELDS = ("note", "reference")  # that the clients write: the first holds the value that no other write has


def present(sandbox: Sandbox) -> dict[str, str]:
    """The notes of the orders in Aurora, by key, as a client reads them."""
    with sandbox.database.connect(database="shop") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT order_id, note FROM orders")
        return {str(key): str(note) for key, note in cursor.fetchall()}


def broken(
    sandbox: Sandbox, shape: Shape, history: History, before: Mapping[str, str], *, modern: bool = True
) -> Sequence[Violation]:
    """Every promise to a client that was broken: a write that is lost, or there twice; a record of two writes.

    Args:
        before: what was there before the clients came.
        modern: whether DynamoDB is the source of truth at the end, else Aurora.
    """
    arena = Arena(sandbox, ENTITY, lambda _: None)
    held = (final_state.modern if modern else final_state.legacy)(arena, shape)
    return checker.check(Story(before=before, attempts=history.attempts, source=held, other=held))


def unaudited(sandbox: Sandbox, history: History) -> list[str]:
    """The notes that clients got acknowledged before `complete`, and that the legacy function's audit does not have.

    It has those of modern's phases only if that very function has brought them to Aurora.
    """
    with sandbox.database.connect(database="shop") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT note FROM order_audit")
        audited = {str(note) for (note,) in cursor.fetchall()}
    until = {name: moment for moment, name in history.marks}.get("complete", float("inf"))
    before = [one for one in history.attempts if one.ended < until and one.kind in {POST, PUT}]
    return [one.value for one in before if one.status in EXPECTED[one.kind] - {404} and one.value not in audited]
