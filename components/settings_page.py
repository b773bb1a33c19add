"""Prints docs/settings.md from the settings: `python -m components.settings_page`; `make docs` writes it."""

import sys
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any, cast

from components import checks
from components.checks import OnChange, Setting
from components.settings import SETTINGS, Settings

HEAD = """\
# Settings of a stack

In `Pulumi.<stack>.yaml`, below `streamback:`. `pulumi config set streamback:KEY VALUE` sets one.
An unknown key or a bad value is an error that names the key, the value, what is allowed, and the command that sets it.

`Pulumi.dev.yaml` is a stack to try things on. `examples/Pulumi.production.yaml` is one for production.
Copy it beside the former, and fill in what its comments name.

<!-- Made by `make docs` from components/settings.py. -->

"""
COLUMNS = ("key", "default", "allowed", "unit", "meaning", "a change")


def page() -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(_row(key, each) for key, each in SETTINGS.items())]
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(key: str, each: Setting) -> Sequence[str]:
    change = each.effect if each.effect is OnChange.NOTHING else f"{each.effect}: {each.affects}"
    allowed = each.kind.expected.replace("|", "\\|")
    return f"`{key}`", each.shown or _written(_default(key)), allowed, each.unit, each.means, change


def _default(key: str) -> Any:
    (found,) = (each for each in fields(Settings) if checks.camel(each.name) == key)
    return found.default if found.default is not MISSING else None


def _written(value: Any) -> str:
    """A default as it would stand in the file."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(cast('tuple[str, ...]', value))}]`"
    return "" if value in {"", None} else f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(page())
