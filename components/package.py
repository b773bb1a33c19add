"""The one archive that every function is deployed from: the functions' sources and the mapping."""

from pathlib import Path

import pulumi


def archive(folder: Path, entities_file: Path) -> pulumi.AssetArchive:
    """Source files only, by name, so that the archive changes when the code does and not before."""
    sources = {
        str(path.relative_to(folder)): pulumi.FileAsset(str(path))
        for path in sorted((folder / "functions").rglob("*.py"))
    }
    return pulumi.AssetArchive({**sources, "entities.toml": pulumi.FileAsset(str(entities_file))})
