"""What can go wrong while a program is run, said with the resource it happened to."""


class EngineError(Exception):
    """The program cannot be deployed.

    Args:
        message: what is wrong.
        urn: the resource it is about; empty when it is about none.
    """

    def __init__(self, message: str, urn: str = "") -> None:
        super().__init__(f"{urn}: {message}" if urn else message)
        self.urn = urn


class ResourceError(EngineError):
    """One resource could not be made, changed or deleted; the message names its URN and its type."""

    def __init__(self, urn: str, type_: str, message: str) -> None:
        super().__init__(f"({type_}) {message}", urn)
        self.type = type_
