"""One file per AWS service; each handler a few lines. Importing a file registers its handlers."""

import importlib
import pkgutil


def load() -> None:
    """Register every handler in this folder."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
