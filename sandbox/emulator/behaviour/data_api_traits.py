"""What the sandbox's Data API refuses and leaves out, by name: traits that a sandbox has alone or together.

AWS documents that it takes one statement a call. Whether the other traits hold there is unproved, so streamback must
work with each of them, and without.
"""

import os
from enum import StrEnum
from typing import Final, TypeAlias

from sandbox.errors import SandboxError

VARIABLE = "STREAMBACK_DATA_API"  # names the traits of a new sandbox


class Trait(StrEnum):
    """One difference from a Data API that takes and answers all that the database does."""

    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/data-api.differences.html
    ONE_STATEMENT = "one-statement"  # a text of several statements is refused
    NO_COMPOUND = "no-compound"  # and so is a trigger's or procedure's text with a body of several
    NO_DDL_IN_TRANSACTION = "no-ddl-in-transaction"
    NO_GENERATED_FIELDS = "no-generated-fields"  # an INSERT's answer lacks the key that the database counted
    INTEGER_BOOLEANS = "integer-booleans"  # TINYINT(1) comes as longValue, not as booleanValue


Traits: TypeAlias = "frozenset[Trait]"

# A boolean is the stricter form of a TINYINT(1): it has lost which number it was.
STRICT: Final[Traits] = frozenset(Trait) - {Trait.INTEGER_BOOLEANS}
LENIENT: Final[Traits] = frozenset()
NAMED: Final = {"strict": STRICT, "lenient": LENIENT}


def parse(text: str) -> Traits:
    """The traits of a text like `strict`, `lenient`, `no-compound` or `strict,integer-booleans`.

    Raises:
        SandboxError: naming the part that is no trait.
    """
    found: Traits = frozenset()
    for name in filter(None, text.split(",")):
        try:
            found |= NAMED[name] if name in NAMED else {Trait(name)}
        except ValueError:
            known = ", ".join((*NAMED, *Trait))
            raise SandboxError(f"{name!r} is no trait of the Data API: set one or more of {known}.") from None
    return found


def written(traits: Traits) -> str:
    """The shortest text that `parse` reads as these traits."""
    return next((name for name, named in NAMED.items() if named == traits), ",".join(sorted(traits)))


def default() -> Traits:
    """The traits of a sandbox for which none are chosen. Raises what `parse` does."""
    return parse(os.environ.get(VARIABLE) or "strict")
