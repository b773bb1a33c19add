"""What `make sweep` adds: every boundary of which `make test` tries one in ten, and the long tests.

With SWEEP=1 the tests that kill at boundaries try each, and those marked `long` run.
"""

from __future__ import annotations

import os

ALL = bool(os.environ.get("SWEEP"))
EVERY = 1 if ALL else 10
OFTEN = 1 if ALL else 3  # where a kill is cheap
BEFORE_FIRST = 1 - EVERY  # one step before the first boundary, which is tried in any case
