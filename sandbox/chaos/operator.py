"""The process of one operator's command: the runbook, whose clock the environment may move."""

import sys

from sandbox.emulator.behaviour import skewed_clock

if __name__ == "__main__":
    skewed_clock.move_by_environment()  # before the runbook is imported: it takes names from the clock's modules
    from runbook.commands.cli import app

    sys.argv[0] = "runbook"
    app()
