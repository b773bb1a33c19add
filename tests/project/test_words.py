"""The glossary holds: no refused word comes back in code, tests, docs or help texts."""

import re
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIST = tomllib.loads((Path(__file__).parent / "words.toml").read_text())
REFUSED: dict[str, str] = LIST["refused"]
ALLOWED: list[dict[str, str]] = LIST["allowed"]
READ = re.compile(r"\.(py|md|toml|svg|sh|yaml|yml|in)$|(^|/)Makefile$")
ANY = re.compile(rf"(?<![a-z])(?:{'|'.join(REFUSED)})(?![a-z])", re.IGNORECASE)


def _files() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    names = [name for name in listed.stdout.splitlines() if READ.search(name) and (ROOT / name).is_file()]
    return [name for name in names if not name.startswith("tests/project/")]


FILES = _files()
TEXTS = {name: (ROOT / name).read_text() for name in FILES}


def _applies(entry: dict[str, str], name: str) -> bool:
    return fnmatch(name, entry.get("files", "*"))


def _cleaned(name: str, text: str) -> str:
    for entry in ALLOWED:
        if _applies(entry, name):
            text = re.sub(entry["text"], "", text)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text)


def _instead(word: str) -> str:
    return next(instead for pattern, instead in REFUSED.items() if re.fullmatch(pattern, word, re.IGNORECASE))


def hits(area: str) -> list[str]:
    found: list[str] = []
    for name in FILES:
        if name.split("/")[0] == area or (area == "." and "/" not in name):
            found += [f"{name}: {match[0]}: the file's name" for match in ANY.finditer(_cleaned(name, name))]
            for number, line in enumerate(_cleaned(name, TEXTS[name]).splitlines(), 1):
                found += [f"{name}:{number}: {match[0]} -> {_instead(match[0])}" for match in ANY.finditer(line)]
    return found


@pytest.mark.parametrize(
    "area", [".github", "ci", "components", "functions", "policy", "runbook", "sandbox", "docs", "tests", "."]
)
def test_no_refused_word_comes_back(area):
    found = hits(area)
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("entry", ALLOWED, ids=lambda entry: entry["text"])
def test_every_allowed_text_gives_its_reason_and_is_used(entry):
    assert len(entry["reason"].split()) >= 3
    assert any(re.search(entry["text"], TEXTS[name]) for name in FILES if _applies(entry, name))
