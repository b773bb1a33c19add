"""The clocks of one function's new workers are wrong by up to five minutes, until another stretch begins.

Copy's lanes and the writer are behind only, or ahead by a few seconds: what a worker whose clock is ahead has promised
lasts, if it dies, until that time has passed on the other clocks. That loses nothing, but takes five minutes. The gate
takes the time from DynamoDB.
"""

from sandbox.chaos.faults import emulator, workers
from sandbox.chaos.faults.attack import Attack
from sandbox.emulator.behaviour.skewed_clock import PATH

MOST = 300.0  # seconds
AHEAD = 5.0  # seconds, where that costs time


def skew_function(attack: Attack) -> None:
    target, deployed = attack.arena.target, attack.arena.deployed
    bounds = {
        target.copy_function: AHEAD,
        target.gate_function: MOST,
        deployed.bridge_function: MOST,
        deployed.write_function: AHEAD,
    }
    function = attack.rng.choice(sorted(bounds))
    seconds = attack.rng.uniform(-MOST, bounds[function])
    emulator.ask(attack.arena, PATH, {"function": function, "seconds": seconds})
    attack.arena.skewed.add(function)
    attack.note(f"the clock of {function} is {seconds:+.0f} s wrong from its next worker on")
    workers.kill(attack, attack.arena.workers(frozenset({function})), f"workers of {function}")
