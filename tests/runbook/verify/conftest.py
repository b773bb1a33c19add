"""What the tests of verify share."""

from __future__ import annotations

import pytest
from writes_world import until

from runbook.checks import copy as copy_checks
from runbook.copy import control
from runbook.copy.control import CopyLimits


@pytest.fixture(scope="module")
def context(prepared):
    return prepared


@pytest.fixture(scope="module")
def chefs(context):
    return context.target.entity("chefs")


@pytest.fixture(scope="module")
def copying(prepared):
    """The context with copy running and caught up."""
    chefs = prepared.target.entity("chefs")
    control.start(prepared, chefs, CopyLimits(), again=False)
    until(lambda: not [check for check in copy_checks.checks(prepared, chefs)[:-1] if not check.ok])
    yield prepared
    control.stop(prepared, chefs)
