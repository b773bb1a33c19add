"""Fixtures of the emulator's tests."""

from __future__ import annotations

import pytest
from emulator_parts import Parts

from sandbox.database import programs


@pytest.fixture
def parts(sandbox):
    return Parts(sandbox)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without a database server, whose PATH is one empty folder."""
    monkeypatch.setattr(programs, "SYSTEM_FOLDERS", ())
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder
