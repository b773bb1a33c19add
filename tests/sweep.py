"""How many points the tests that kill at every boundary try: one in three, or each with SWEEP=1 (`make sweep`)."""

from __future__ import annotations

import os

EVERY = 1 if os.environ.get("SWEEP") else 3
BEFORE_FIRST = 1 - EVERY  # one step before the first boundary, which is tried in any case
