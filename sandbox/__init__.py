"""The embedded default: MiniStack, MariaDB or MySQL, and the unmodified Pulumi program on one machine."""
