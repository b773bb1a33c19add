"""Fixtures of the emulator's tests."""

from __future__ import annotations

import pytest
from emulator_parts import Parts


@pytest.fixture
def parts(sandbox):
    return Parts(sandbox)
