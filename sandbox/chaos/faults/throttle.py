"""A share of the calls to one service is throttled for a while."""

from sandbox.chaos.faults import emulator
from sandbox.chaos.faults.attack import Attack
from sandbox.chaos.system import Arena
from sandbox.emulator.behaviour.throttling import PATH


def throttle(attack: Attack) -> None:
    service = attack.rng.choice(("dynamodb", "rds-data", "lambda"))
    share, seconds = attack.rng.uniform(0.2, 0.6), attack.rng.uniform(0.5, 2.0)
    request_throttling(attack.arena, service, share, seconds)
    attack.note(f"{share:.0%} of the calls to {service} throttled for {seconds:.1f} s")


def request_throttling(arena: Arena, service: str, share: float, seconds: float) -> None:
    """Have the emulator throttle a share (0 to 1) of the calls to one service for so many seconds."""
    emulator.ask(arena, PATH, {"service": service, "share": share, "seconds": seconds})
    arena.may_fail(seconds)
