"""One stack of streamback: the legacy system, the modern one, and the bridge that keeps the way back open."""

from __future__ import annotations

from pathlib import Path

import pulumi

from components.settings import Settings
from components.stack import Streamback

FOLDER = Path(__file__).parent

for name, value in Streamback(Settings.load(FOLDER), FOLDER).outputs.items():
    pulumi.export(name, value)
