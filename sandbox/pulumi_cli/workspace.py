"""What the pulumi CLI needs of one sandbox: project, stack settings, state, passphrase and provider, in its folder."""

import os
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from sandbox.engine.program import STACK, settings_of
from sandbox.errors import SandboxError
from sandbox.pulumi_cli import checkpoint, programs, provider
from sandbox.state import Folder

PLUGIN = f"pulumi-resource-{provider.PACKAGE}"
QUIET = {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}


@dataclass(frozen=True)
class Workspace:
    """One stack on a local state, and the CLI that works on it.

    Attributes:
        path: the folder with all of it; the CLI's working folder.
        cli: the CLI's path.
    """

    path: Path
    cli: Path

    @property
    def environment(self) -> dict[str, str]:
        """The CLI's environment: none of the caller's AWS and Pulumi settings, all files in the folder."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))}
        return {
            **inherited,
            **QUIET,
            "PULUMI_HOME": str(self.path / "home"),
            "PULUMI_BACKEND_URL": f"file://{self._state}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self._passphrase),
            "PULUMI_STACK": STACK,
        }

    def command(self, *arguments: str) -> list[str]:
        """The words that run the CLI."""
        return [str(self.cli), *arguments]

    def write(self, folder: Folder, program: Path, config: Mapping[str, Any], *, preview: bool) -> Path:
        """Write what the CLI reads: for a program, with the settings of a stack, on the sandbox of a folder.

        Returns the file with the settings: those of a preview stand in one of their own.
        """
        self._state.mkdir(parents=True, exist_ok=True)
        _write_secret(self._passphrase)
        project = _read(program / "Pulumi.yaml")
        if not project.get("name"):
            raise SandboxError(f"{program / 'Pulumi.yaml'}: no project name found")
        python = {"name": "python", "options": {"virtualenv": sys.prefix}}
        _write(self.path / "Pulumi.yaml", {**project, "runtime": python, "main": str(program.resolve())})
        chosen = settings_of(project["name"], program, config)
        file = self.path / "preview.yaml" if preview else self._config
        _write(file, {**_read(self._config), "config": chosen})
        self._install_provider(folder)
        return file

    @property
    def _state(self) -> Path:
        return self.path / "state"

    @property
    def _passphrase(self) -> Path:
        return self.path / "passphrase"

    @property
    def _config(self) -> Path:
        return self.path / f"Pulumi.{STACK}.yaml"

    def _install_provider(self, folder: Folder) -> None:
        """Put it where the CLI keeps the plugins that it downloads: one on the PATH would be reported at each run."""
        plugins = self.path / "home" / "plugins" / f"resource-{provider.PACKAGE}-v{provider.version()}"
        plugins.mkdir(parents=True, exist_ok=True)
        programs.write_launcher(plugins / PLUGIN, provider.__name__, str(folder.path))


def of(folder: Folder) -> Workspace:
    """The workspace of a sandbox, which need not have one yet.

    Raises:
        SandboxError: there is no pulumi CLI.
    """
    return Workspace(checkpoint.home(folder), programs.locate(folder.cache))


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    return cast("dict[str, Any]", yaml.safe_load(path.read_text(encoding="utf-8")) or {})


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False), encoding="utf-8")


def _write_secret(path: Path) -> None:
    """A new passphrase, readable by its owner only, where there is none."""
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe())
