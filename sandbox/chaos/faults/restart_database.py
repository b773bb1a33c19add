"""Kill -9 of the database, and its restart a moment later."""

import time

from sandbox.chaos.faults.attack import Attack


def restart_database(attack: Attack) -> None:
    away = attack.rng.uniform(0.0, 1.0)
    with attack.arena.noted(attack.arena.outages):
        attack.arena.sandbox.database.kill()
        attack.note(f"kill -9 of the database, for {away:.1f} s")
        time.sleep(away)
        attack.arena.sandbox.database.start()
