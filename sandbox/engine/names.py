"""Physical names as Pulumi makes them: the logical name, a dash, seven hex digits."""

import secrets
from dataclasses import dataclass

HEX_DIGITS = 7


@dataclass(frozen=True)
class AutoName:
    """Which property is named for the program when it does not say.

    Args:
        property: the property that holds the physical name.
        longest: the service's limit in characters; Pulumi refuses longer ones, and so does this.
        lower: the service takes lower case only.
    """

    property: str
    longest: int
    lower: bool = False

    def make(self, logical: str) -> str:
        """A new physical name.

        Raises:
            ValueError: the logical name leaves no room for the digits.
        """
        name = f"{logical}-{secrets.token_hex(4)[:HEX_DIGITS]}"
        if len(name) > self.longest:
            raise ValueError(
                f"the name {logical!r} and {HEX_DIGITS + 1} characters more are longer than the {self.longest} that "
                f"{self.property!r} may have"
            )
        return name.lower() if self.lower else name
