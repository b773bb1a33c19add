"""The embedded default: MiniStack, MariaDB and the unmodified Pulumi program on one machine."""
