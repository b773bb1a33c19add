"""End every connection over TCP at once, as a failover does, a proxy, or the server's own limit of idle time."""

import time

import pymysql
from pymysql.cursors import Cursor

from sandbox.chaos.faults.attack import Attack

TIMES = 3  # at most
PAUSE = 0.5  # seconds at most between two
BY_TCP = "SELECT id FROM information_schema.processlist WHERE host LIKE %s"
GONE = 1094  # MySQL's error for a connection that has ended already


def end_connections(attack: Attack) -> None:
    """End them, and those that come in their place."""
    ended = 0
    with attack.arena.noted(attack.arena.outages):
        for _ in range(attack.rng.randint(1, TIMES)):
            ended += _end(attack)
            time.sleep(attack.rng.uniform(0.0, PAUSE))
    attack.note(f"ended {ended} connections to the database")


def _end(attack: Attack) -> int:
    """How many were ended."""
    with attack.arena.sandbox.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute(BY_TCP, ("%:%",))  # one over the socket has no port
        found = [number for (number,) in cursor.fetchall()]
        return sum(_kill(cursor, number) for number in found)


def _kill(cursor: Cursor, number: int) -> bool:
    try:
        cursor.execute("KILL CONNECTION %s", (number,))
    except pymysql.MySQLError as error:
        if error.args[0] != GONE:
            raise
        return False
    return True
