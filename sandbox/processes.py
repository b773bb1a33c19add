"""Ends other processes and waits for it.

One that its parent has not collected yet is over, too, but psutil's wait() is not content with that: a killed database
is its daemon's child, and a container's first process may collect no child.
"""

import psutil

from functions.aws.retry import poll

POLL = 0.02  # seconds


def over(process: psutil.Process) -> bool:
    try:
        return process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) or not process.is_running()
    except psutil.NoSuchProcess:
        return True


def wait(process: psutil.Process, timeout: float) -> bool:
    """Wait until it has ended, `timeout` seconds at most; whether it has."""
    return poll(lambda: over(process), timeout=timeout, first=POLL, longest=POLL)


def end(process: psutil.Process, timeout: float) -> None:
    """Ask it to end (SIGTERM), and after `timeout` seconds make it (SIGKILL)."""
    try:
        process.terminate()
        if not wait(process, timeout):
            process.kill()
            wait(process, timeout)
    except psutil.NoSuchProcess:
        return
