"""What is in the shop's orders, read past every function, and which of their fields a load's clients write."""

from __future__ import annotations

from sandbox.lifecycle import Sandbox

FIELDS = ("note", "reference")  # that the clients write: the first holds the value that no other write has


def present(sandbox: Sandbox) -> dict[str, str]:
    """The notes of the orders in Aurora, by key, as a client reads them."""
    with sandbox.database.connect(database="shop") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT order_id, note FROM orders")
        return {str(key): str(note) for key, note in cursor.fetchall()}
