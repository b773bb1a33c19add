"""Runs a program on a running sandbox as some user, and prints the actions that it used: `deployed.py REQUEST-AS-JSON`.

A process of its own for each run, since Pulumi's settings are global.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from used import recorded

from sandbox.engine import program
from sandbox.engine.aws import Aws
from sandbox.engine.deployment import Deployment
from sandbox.engine.errors import EngineError
from sandbox.engine.state import State


def main():
    request = json.loads(sys.argv[1])
    answers, sys.stdout = sys.stdout, sys.stderr
    aws = Aws(request["endpoint"], request["key"], request["secret"])
    deployment, error = Deployment(State.load(Path(request["state"])), aws, lambda _: None), ""
    with recorded() as used:
        try:
            program.run(Path(request["program"]), deployment, request["config"])
        except EngineError as failed:
            error = str(failed)
    json.dump({"used": sorted(used), "error": error}, answers)


if __name__ == "__main__":
    main()
