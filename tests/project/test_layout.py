"""The layout holds: few rooms on few levels, no circle, one owner a table, no class name twice, short functions."""

import ast
import re
import statistics
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("__main__.py", "ci", "components", "functions", "policy", "runbook", "sandbox")
ROOMS, LEVELS = 15, 7  # of runbook/: its modules and folders, and how many stand on one another
QUEUE = re.compile(r"streamback_changes|\bCHANGES_TABLE\b")
QUEUE_OWNERS = {"functions/copy/queue.py", "functions/domain/names.py"}  # its SQL, and its name
TEST_LINES = 450
FUNCTION_LINES = 8  # the median


def _modules(*tops: str) -> Iterator[tuple[Path, ast.Module]]:
    for top in tops:
        for file in sorted((ROOT / top).rglob("*.py")) if (ROOT / top).is_dir() else [ROOT / top]:
            yield file, ast.parse(file.read_text())


def _named(file: Path) -> str:
    return str(file.relative_to(ROOT))


def _room(name: str) -> str:
    """runbook.aws.aurora -> aws."""
    return name.split(".")[1]


def _imports(tree: ast.Module) -> Iterator[str]:
    """What a module imports, `if TYPE_CHECKING:` included; `from a import b` gives `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _arrows() -> dict[str, set[str]]:
    """Each room of runbook/ with the rooms that it imports."""
    arrows: dict[str, set[str]] = {}
    for file, tree in _modules("runbook"):
        room = file.relative_to(ROOT / "runbook").parts[0].removesuffix(".py")
        if room != "__init__":
            used = {_room(name) for name in _imports(tree) if name.startswith("runbook.")}
            arrows.setdefault(room, set()).update(used - {room})
    return arrows


def _functions() -> Iterator[ast.FunctionDef]:
    for _, tree in _modules(*PRODUCT):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _lines(function: ast.FunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def test_the_runbook_has_few_rooms_on_few_levels_and_no_circle():
    arrows = _arrows()
    assert len(arrows) <= ROOMS, sorted(arrows)
    levels: dict[str, int] = {}
    for room in TopologicalSorter(arrows).static_order():  # raises where imports run in a circle
        levels[room] = 1 + max((levels[used] for used in arrows[room]), default=0)
    assert max(levels.values()) <= LEVELS, levels


def test_no_two_public_classes_have_the_same_name():
    names = Counter(
        node.name
        for _, tree in _modules("components", "functions", "runbook")
        for node in tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_one_module_has_the_sql_on_the_change_queue_and_one_folder_installs_it():
    files = {_named(file) for file, _ in _modules("functions", "runbook") if QUEUE.search(file.read_text())}
    assert {file for file in files if not file.startswith("functions/install/")} == QUEUE_OWNERS


def test_no_test_file_is_long():
    lengths = {_named(file): len(file.read_text().splitlines()) for file, _ in _modules("tests")}
    assert {file: lines for file, lines in lengths.items() if lines > TEST_LINES} == {}


def test_half_of_all_functions_are_short():
    assert statistics.median(_lines(each) for each in _functions()) <= FUNCTION_LINES
