"""A set of keys for millions of them: eight bytes each, in the place of the key itself."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left

DRAWERS = 256
DIGEST = 8  # bytes; among a hundred million keys, one is taken for another with a chance of 1 in 10^11


class KeySet:
    """Keys that are all added first, by any number of threads, and then looked up."""

    def __init__(self) -> None:
        self._drawers = [array("Q") for _ in range(DRAWERS)]
        self._sorted = False

    def add(self, key: str) -> None:
        """Add a key."""
        digest = _digest(key)
        self._drawers[digest % DRAWERS].append(digest)

    def __contains__(self, key: str) -> bool:
        if not self._sorted:
            self._drawers = [array("Q", sorted(drawer)) for drawer in self._drawers]
            self._sorted = True
        digest = _digest(key)
        drawer = self._drawers[digest % DRAWERS]
        place = bisect_left(drawer, digest)
        return place < len(drawer) and drawer[place] == digest


def _digest(key: str) -> int:
    text = key.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=DIGEST).digest(), "big")
