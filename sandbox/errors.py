"""What can go wrong in the sandbox, said in a sentence."""


class SandboxError(Exception):
    """The sandbox cannot do what was asked; the text says why and what to do."""
