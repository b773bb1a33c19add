"""What `make engine` runs: brings the pulumi CLI, and says where it is."""

import sys

from sandbox.errors import SandboxError
from sandbox.pulumi_cli import programs
from sandbox.state import CACHE, default_root


def main() -> int:
    """0 when there is a CLI; 1 when none can be had, with the reason on stderr."""
    try:
        made = programs.make(default_root() / CACHE)
    except SandboxError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"pulumi: {made}\n")
    return 0


sys.exit(main())
