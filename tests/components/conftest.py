"""Stacks as the program describes them, each once per run."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import PIPE

import pytest
from delivered import DELIVERY

DESCRIBED = Path(__file__).with_name("described.py")


@dataclass(frozen=True)
class Stack:
    """What a program describes: resources as dicts, and the stack's outputs."""

    resources: list[dict]
    outputs: dict

    def of(self, kind):
        """The resources whose type ends so, such as `table:Table`."""
        return [each for each in self.resources if each["type"].endswith(kind)]

    def one(self, kind, name=""):
        """The only such resource whose name has `name` in it."""
        found = [each for each in self.of(kind) if name in each["name"]]
        assert len(found) == 1, [each["name"] for each in found]
        return found[0]


@dataclass(frozen=True)
class Done:
    """How a run of the program ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """Runs the program with these settings, once each; how that ended."""
    files = {name: str(tmp_path_factory.mktemp("described") / name) for name in ("stdout", "stderr")}
    with subprocess.Popen([sys.executable, DESCRIBED], stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as server:

        @cache
        def of(config, preview):
            request = {"config": json.loads(config), "preview": preview, **files}
            server.stdin.write(json.dumps(request) + "\n")
            code = int(server.stdout.readline())
            return Done(code, *(Path(path).read_text(encoding="utf-8") for path in files.values()))

        yield lambda *, preview=False, **settings: of(_config(settings), preview)
        server.stdin.close()


@pytest.fixture(scope="session")
def describe(run):
    """The stack that the program describes with these settings."""

    def described(*, preview=False, **settings):
        done = run(preview=preview, **settings)
        assert done.returncode == 0, done.stderr
        return Stack(**json.loads(done.stdout))

    return described


@pytest.fixture(scope="session")
def stack(describe):
    """All parts, with the defaults."""
    return describe()


@pytest.fixture(scope="session")
def production(describe):
    return describe(production="true", tags='{"owner": "kitchen"}', **DELIVERY)


def _config(settings):
    given = {f"streamback:{key}": value for key, value in settings.items()}
    return json.dumps({"aws:region": "us-east-1", **given}, sort_keys=True)
