"""How long a preview and a deployment of the program take by the number of entities, against one entity."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sandbox import lifecycle
from sandbox.bench.rounds import interleaved, seconds
from sandbox.bench.rows import Row, compared
from sandbox.bench.system import System

GROUP = "deploy"
NAME = "bench-deploy"
COUNTS = (1, 10, 50)  # entities
CONFIG = {"apiResourcesQuota": 1000}  # 50 entities have more than AWS's quota of 300
# Short names, because the gate's environment has a limit of 4 KB.
ENTITY = """
[t{0}]
legacy = {{ database = "things", table = "t{0}", key = "id" }}
modern = {{ table = "one-{0}", key = "Id" }}

[t{0}.fields]
label = {{ column = "label", type = "string", max_length = 100 }}
"""


def rows(system: System) -> Iterator[Row]:
    """Seconds of `sandbox preview` and of `sandbox up`; none where it is to be quick."""
    if system.quick:
        return
    with tempfile.TemporaryDirectory(prefix="streamback-bench-") as folder:
        files = {count: _written(Path(folder), count) for count in COUNTS}
        previews = {f"{count}": partial(_preview, file) for count, file in files.items()}
        found = interleaved(previews, 1, warm=False)
        for count in COUNTS[1:]:
            yield compared(GROUP, f"preview, {count} entities, 1", "s", found[f"{count}"], found["1"])
        ups = {f"{count}": partial(_up, files[count]) for count in COUNTS}
        found = interleaved(ups, 1, warm=False)
        for count in COUNTS[1:]:
            yield compared(GROUP, f"up, {count} entities, 1", "s", found[f"{count}"], found["1"])


def _written(folder: Path, count: int) -> Path:
    file = folder / f"{count}.toml"
    file.write_text("".join(ENTITY.format(number) for number in range(count)), encoding="utf-8")
    return file


def _preview(file: Path) -> float:
    return seconds(lambda: lifecycle.preview(NAME, CONFIG, file))


def _up(file: Path) -> float:
    try:
        return seconds(lambda: lifecycle.up(NAME, CONFIG, file, current=False))
    finally:
        lifecycle.down(NAME)
