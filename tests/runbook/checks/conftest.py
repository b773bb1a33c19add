"""What the tests of the checks share."""

from __future__ import annotations

import pytest
from own_table import OwnTable


@pytest.fixture(scope="module")
def context(prepared):
    """The sandbox's own chefs and specimens, prepared."""
    return prepared


@pytest.fixture
def world(sandbox, database, context):
    """Makes legacy tables of the test's own."""
    made = OwnTable(sandbox, database, context.clients)
    yield made
    made.tidy()
