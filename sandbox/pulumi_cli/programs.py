"""Finds the pulumi CLI and its Python language host on this machine, or builds the CLI with Go."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sandbox.database.programs import alone
from sandbox.errors import SandboxError

SOURCE = Path(__file__).with_name("go")  # a Go module that requires the CLI's at one version
CLI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
HOST = "pulumi-language-python"
RUNNER = "pulumi-language-python-exec"  # the SDK's script that runs a program; it lies in the Go module, not in PyPI's
HELP = "Install pulumi, or Go 1.26 or newer and run `make engine`."


def find(cache: Path) -> Path | None:
    """A CLI that is there: on the PATH with its Python language host, else built before; None where neither is."""
    installed = shutil.which("pulumi")
    if installed and Path(installed).resolve().with_name(HOST).exists():
        return Path(installed)
    built = cache / "pulumi" / "pulumi"
    if not built.exists():
        return None
    _write_host(built.parent)
    return built


def locate(cache: Path) -> Path:
    """The CLI that `find` finds.

    Raises:
        SandboxError: there is none; it says how to get it.
    """
    if found := find(cache):
        return found
    raise SandboxError(f"The pulumi CLI is needed and not here. {HELP}")


def make(cache: Path) -> Path:
    """The CLI that is there, else one built with Go, which takes minutes.

    Raises:
        SandboxError: there is no Go, or it cannot build it.
    """
    with alone(cache):
        return find(cache) or _built(cache)


def _built(cache: Path) -> Path:
    if not shutil.which("go"):
        raise SandboxError(f"The pulumi CLI is not here, and neither is Go to build it with. {HELP}")
    draft = cache / "pulumi.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    version = _go("list", "-m", "-f", "{{.Version}}", SDK)
    flags = f"-s -w -X {SDK}/go/common/version.Version={version}"
    _go("build", "-trimpath", "-ldflags", flags, "-o", str(draft / "pulumi"), CLI)
    folder = Path(_go("list", "-m", "-f", "{{.Dir}}", SDK))
    shutil.copyfile(folder / "python" / "cmd" / RUNNER, draft / RUNNER)
    draft.rename(cache / "pulumi")
    _write_host(cache / "pulumi")
    return cache / "pulumi" / "pulumi"


def _go(*arguments: str) -> str:
    """What the command printed."""
    done = subprocess.run(  # noqa: S603  # our own words
        ["go", *arguments],  # noqa: S607  # whichever Go the machine has
        cwd=SOURCE,
        env={**os.environ, "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        raise SandboxError(f"Go could not build the pulumi CLI: {last}. {HELP}")
    return done.stdout.strip()


def _write_host(folder: Path) -> None:
    """Put a language host of our own beside the CLI, because the Go module of Pulumi's is not published."""
    write_launcher(folder / HOST, "sandbox.pulumi_cli.language_host", str(folder / RUNNER))


def write_launcher(path: Path, module: str, *arguments: str) -> None:
    """A program that runs one of this project's modules on this Python."""
    words = " ".join(f"'{word}'" for word in (sys.executable, "-P", "-m", module, *arguments))
    text = f'#!/bin/sh\nexec {words} "$@"\n'
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
