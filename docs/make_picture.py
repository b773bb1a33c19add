"""Draws docs/demo.svg: runs the demo, or a command given as arguments, and renders what it prints as a terminal."""
# ruff: noqa: INP001  # a script, not a package

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("demo.svg")
COLUMNS = 100


def main() -> int:
    """Returns the command's exit code; only a run that succeeded becomes the picture."""
    command = sys.argv[1:] or [sys.executable, "-m", "sandbox.demo"]
    plain = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=plain, check=False)  # noqa: S603
    sys.stdout.write(done.stdout)
    if done.returncode == 0:
        console = Console(record=True, width=COLUMNS, file=StringIO(), force_terminal=True)
        console.print(Text.from_ansi(done.stdout.strip("\n")))
        title = "make demo" if not sys.argv[1:] else " ".join(command)
        console.save_svg(str(PICTURE), title=title)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
