"""Ends other processes and waits for it.

One that its parent has not collected yet is over, too, but psutil's wait() is not content with that: a killed MariaDB
is its daemon's child, and a container's first process may collect no child.
"""

import time

import psutil

POLL = 0.02  # seconds


def over(process: psutil.Process) -> bool:
    try:
        return process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) or not process.is_running()
    except psutil.NoSuchProcess:
        return True


def wait(process: psutil.Process, timeout: float) -> bool:
    """Wait until it has ended, `timeout` seconds at most; whether it has."""
    deadline = time.monotonic() + timeout
    while not over(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def end(process: psutil.Process, timeout: float) -> None:
    """Ask it to end (SIGTERM), and after `timeout` seconds make it (SIGKILL)."""
    try:
        process.terminate()
        if not wait(process, timeout):
            process.kill()
            wait(process, timeout)
    except psutil.NoSuchProcess:
        return
