"""README and docs/ name only what exists: files, functions, links, commands and options."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from runbook.commands.cli import app as runbook
from sandbox.cli import app as sandbox

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = {"runbook": typer.main.get_command(runbook), "sandbox": typer.main.get_command(sandbox)}
README_LINES = 150
PATH_FILES = 12


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _paths() -> dict[str, list[tuple[str, str]]]:
    """The two paths through the code in design.md: name -> (file, function), in order."""
    design = (ROOT / "docs/design.md").read_text()
    parts = re.findall(r"<!-- path: (\w+) -->(.*?)<!-- /path -->", design, re.DOTALL)
    return {name: re.findall(r"`([\w/]+\.py): ([\w.]+)`", text) for name, text in parts}


def _defined(file: Path) -> set[str]:
    """The functions, methods and classes of a module, with the class before a method's name."""
    found: set[str] = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}" for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def _calls(page: Path) -> list[list[str]]:
    """Every `runbook …` and `sandbox …` that the page tells a reader to type."""
    text = page.read_text()
    spans = re.findall(r"`((?:\.venv/bin/)?(?:runbook|sandbox) [^`\n]+)`", text)
    lines = re.findall(r"^    ((?:\.venv/bin/)(?:runbook|sandbox) .+)$", text, re.MULTILINE)
    return [shlex.split(call.removeprefix(".venv/bin/"), comments=True) for call in (*spans, *lines)]


def _problem(words: list[str]) -> str:
    """What is wrong with a command line, or nothing."""
    command = COMMANDS[words[0]]
    rest = words[1 : words.index("--")] if "--" in words else words[1:]  # what follows is for another program
    while isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        if "|" in rest[0]:
            return next((each for each in rest[0].split("|") if each not in command.commands), "")
        if rest[0].isupper() or rest[0] == "…":
            return ""
        if rest[0] not in command.commands:
            return f"no command {rest[0]}"
        command, rest = command.commands[rest[0]], rest[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
    return " ".join(word for word in rest if word.startswith("-") and word not in known)


@pytest.mark.parametrize("name", ["cutover", "record"])
def test_each_path_through_the_code_names_existing_functions_of_few_files(name):
    path = _paths()[name]
    assert path
    for file, function in path:
        assert function in _defined(ROOT / file), f"{file}: {function}"
    assert len({file for file, _ in path}) <= PATH_FILES


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        target, _, anchor = link.partition("#")
        file = (page.parent / target) if target else page
        assert file.exists(), link
        assert not anchor or anchor in _anchors(file), link


@pytest.mark.parametrize("page", [each for each in PAGES if _calls(each)], ids=_named)
def test_every_command_line_is_one_that_the_program_takes(page):
    assert {" ".join(words): _problem(words) for words in _calls(page) if _problem(words)} == {}


@pytest.mark.parametrize("page", PAGES, ids=_named)
def test_every_file_that_a_page_names_exists(page):
    text = page.read_text()
    files = set(re.findall(r"`((?:ci|components|functions|policy|runbook|sandbox|tests|docs)/[\w/.-]+?)/?`", text))
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < README_LINES


def _tree() -> set[str]:
    """The folders that README's tree names, from the project's root."""
    text = (ROOT / "README.md").read_text().partition("## Where things are")[2]
    named: set[str] = set()
    top = ""
    for indent, line in re.findall(r"^    ( *)(.*)$", text, re.MULTILINE):
        folders = re.findall(r"(?:\w+/)+", line.split("   ")[0])
        top = top if indent else "".join(folders)
        named |= {(f"{top}{folder}" if indent else folder).strip("/") for folder in folders}
    return named


def test_the_readmes_tree_has_every_folder_of_functions_and_runbook_and_no_other():
    named = _tree()
    assert [folder for folder in named if not (ROOT / folder).is_dir()] == []
    rooms = {_named(each.parent) for top in ("functions", "runbook") for each in (ROOT / top).glob("*/__init__.py")}
    assert rooms - named == set()
