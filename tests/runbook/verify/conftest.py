"""What the tests of verify share."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def context(prepared):
    return prepared


@pytest.fixture(scope="module")
def chefs(context):
    return context.target.entity("chefs")
