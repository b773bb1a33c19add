"""The operator's clock is wrong by up to five minutes until the command has ended well. It is killed and run again."""

from sandbox.chaos.faults.attack import Attack

MOST = 300.0  # seconds


def skew_operator(attack: Attack) -> None:
    seconds = attack.rng.uniform(-MOST, MOST)
    attack.runbook.skew = seconds
    if attack.runbook.kill():
        attack.note(f"kill -9 of the runbook, which is run again with a clock {seconds:+.0f} s wrong")
