"""What a setting is, and the kinds of value that one may have: how each is read from Pulumi's text, and described."""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, cast

from pulumi.runtime import config as runtime

LONGEST_TAG = 256  # characters, AWS's limit


class Kind(Protocol):
    """Reads one setting.

    Attributes:
        expected: what it takes, for an error message.
    """

    @property
    def expected(self) -> str: ...

    def command(self, key: str) -> str:
        """What follows `pulumi config`, with some value that fits."""
        ...

    def read(self, text: str) -> Any:
        """The value; ValueError or KeyError when it is not of this kind."""
        ...


@dataclass(frozen=True)
class Text:
    """Text that matches a pattern whole."""

    pattern: str
    expected: str
    example: str

    def command(self, key: str) -> str:
        return f"set {key} {self.example}"

    def read(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text):
            raise ValueError
        return text


@dataclass(frozen=True)
class Flag:
    expected: str = "true or false"

    def command(self, key: str) -> str:
        return f"set {key} true"

    def read(self, text: str) -> bool:
        return {"true": True, "false": False}[text]


@dataclass(frozen=True)
class Number:
    """A number in a range, in whole steps or in halves."""

    low: int
    high: int
    step: float = 1

    @property
    def expected(self) -> str:
        return f"a {'whole number' if self.step == 1 else 'number in halves'} from {self.low} to {self.high}"

    def command(self, key: str) -> str:
        return f"set {key} {self.low}"

    def read(self, text: str) -> float:
        """The number; an int when steps are whole."""
        value = float(text)
        if not self.low <= value <= self.high or value % self.step:
            raise ValueError
        return int(value) if value.is_integer() else value


@dataclass(frozen=True)
class OneOf:
    """One of a few values, all text or all whole numbers."""

    choices: Sequence[str | int]

    @property
    def expected(self) -> str:
        return f"one of {', '.join(map(str, self.choices))}"

    def command(self, key: str) -> str:
        return f"set {key} {self.choices[0]}"

    def read(self, text: str) -> str | int:
        return {str(choice): choice for choice in self.choices}[text]


@dataclass(frozen=True)
class ListOf:
    """A list of some of a few values, none twice, at least one."""

    choices: Sequence[str]

    @property
    def expected(self) -> str:
        return f"a list of {', '.join(self.choices)}"

    def command(self, key: str) -> str:
        return _set_list(key, self.choices)

    def read(self, text: str) -> tuple[str, ...]:
        """Those given, in the order of the choices."""
        value: Any = json.loads(text)
        if not isinstance(value, list) or not value:
            raise ValueError
        items = cast("list[Any]", value)
        if any(item not in self.choices for item in items) or len(set(items)) < len(items):
            raise ValueError
        return tuple(choice for choice in self.choices if choice in items)


@dataclass(frozen=True)
class Texts:
    """A list of texts that match a pattern whole, none twice; it may be empty."""

    pattern: str
    expected: str
    example: str

    def command(self, key: str) -> str:
        return f"set --path '{key}[0]' {self.example}"

    def read(self, text: str) -> tuple[str, ...]:
        value: Any = json.loads(text)
        if not isinstance(value, list):
            raise ValueError  # noqa: TRY004  # as every other that does not fit
        items = [str(item) for item in cast("list[Any]", value)]
        if len(set(items)) < len(items) or not all(re.fullmatch(self.pattern, item) for item in items):
            raise ValueError
        return tuple(items)


@dataclass(frozen=True)
class Pair:
    """Two different texts that match a pattern whole."""

    pattern: str
    expected: str
    example: tuple[str, str]

    def command(self, key: str) -> str:
        return _set_list(key, self.example)

    def read(self, text: str) -> tuple[str, str]:
        value: Any = json.loads(text)
        items = cast("list[Any]", value) if isinstance(value, list) else []
        fitting = {item for item in items if isinstance(item, str) and re.fullmatch(self.pattern, item)}
        if not len(items) == len(fitting) == 2:  # noqa: PLR2004  # a pair
            raise ValueError
        return items[0], items[1]


@dataclass(frozen=True)
class Tags:
    """Tags by name; AWS keeps names that begin with `aws:` for itself."""

    expected: str = "names (at most 128 characters, not beginning with aws:) with texts (at most 256)"

    def command(self, key: str) -> str:
        return f"set --path {key}.owner kitchen"

    def read(self, text: str) -> dict[str, str]:
        value: Any = json.loads(text)
        if not isinstance(value, dict) or not all(self._fits(*item) for item in cast("dict[str, Any]", value).items()):
            raise ValueError
        return cast("dict[str, str]", value)

    def _fits(self, name: str, value: object) -> bool:
        name_fits = re.fullmatch(r"(?!aws:).{1,128}", name)
        return name_fits is not None and isinstance(value, str) and len(value) <= LONGEST_TAG


class OnChange(StrEnum):
    """What `pulumi up` does after a change of a setting."""

    NOTHING = "changes nothing in AWS"
    UPDATE = "update in place"
    REPLACE = "replacement"
    PARTS = "creates or deletes"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One key of Pulumi.<stack>.yaml.

    Attributes:
        unit: of a number; empty for what has none.
        means: what it is for, in one sentence without an end.
        affects: the resources that a change reaches.
        shown: the default in words, where the value itself says too little.
    """

    kind: Kind
    unit: str
    means: str
    effect: OnChange
    affects: str
    shown: str


def setting(  # noqa: PLR0913  # one each
    default: Any, kind: Kind, means: str, effect: OnChange, affects: str = "", *, unit: str = "", shown: str = ""
) -> Any:
    """A field of Settings with what its key takes, means and does; the result is a dataclass's field."""
    about = Setting(kind=kind, unit=unit, means=means, effect=effect, affects=affects, shown=shown)
    if isinstance(default, dict):  # a dataclass takes no mutable default
        return field(default_factory=cast("dict[str, str]", default).copy, metadata={"setting": about})
    return field(default=default, metadata={"setting": about})


def _set_list(key: str, items: Sequence[str]) -> str:
    each = [f"--plaintext '{key}[{index}]={item}'" for index, item in enumerate(items)]
    return f"set-all --path {' '.join(each)}"


def camel(name: str) -> str:
    """`api_auth` → `apiAuth`."""
    return re.sub(r"_(.)", lambda found: found[1].upper(), name)


def snake(key: str) -> str:
    """`apiAuth` → `api_auth`."""
    return re.sub(r"(?=[A-Z])", "_", key).lower()


def unknown_keys(project: str, known: Collection[str]) -> tuple[str, ...]:
    """Keys that the stack's configuration gives to the project and the project does not know: most likely typos."""
    given = [*runtime.CONFIG.get(), *runtime.get_config_env()]
    names = {key.removeprefix(f"{project}:") for key in given if key.startswith(f"{project}:")}
    return tuple(sorted(names - set(known)))
