"""What `make sweep` adds: every boundary of which `make test` tries one in ten, more examples, and the long tests.

With SWEEP=1 the tests marked `sweep` try each boundary and more examples, and those marked `long` run. With LONG=1, as
in `make mysql LONG=1`, boundaries stay one in ten.
"""

from __future__ import annotations

import os

ALL = bool(os.environ.get("SWEEP"))
LONG = ALL or bool(os.environ.get("LONG"))
EVERY = 1 if ALL else 10
OFTEN = 1 if ALL else 3  # where a kill is cheap
EXAMPLES = 25 if LONG else 8  # drawn by a test whose examples are round trips to the database
BEFORE_FIRST = 1 - EVERY  # one step before the first boundary, which is tried in any case
