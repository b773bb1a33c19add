"""DescribeLogGroups while functions write.

MiniStack adds up the bytes of every stream of a group, and fails if a function begins a new stream meanwhile. A refresh
of the stack asks for each group, also under load. This file can go when MiniStack adds up a copy.
"""
# pyright: basic

from typing import Any

from ministack.services import cloudwatch_logs as logs

from sandbox.emulator.patching import check_version, wrap

ATTEMPTS = 50  # each takes less than a millisecond


def install() -> None:
    check_version("behaviour/log_groups")
    wrap(logs, "_describe_log_groups", _again)


def _again(stock: Any) -> Any:
    def describe_log_groups(data: dict[str, Any]) -> Any:
        for _ in range(ATTEMPTS):
            try:
                return stock(data)
            except RuntimeError:  # a dictionary changed while it was read
                continue
        return stock(data)

    return describe_log_groups
