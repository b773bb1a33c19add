"""What the functions and the server of a sandbox logged, merged as it came."""

import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sandbox.lifecycle import Sandbox

SERVER = "server"
POLL = 0.5  # seconds


class Logs:
    """The logs of one sandbox.

    Args:
        wanted: only functions with this in their name; "server" for the server's log alone; "" for all.
    """

    def __init__(self, sandbox: Sandbox, wanted: str = "") -> None:
        self._client = sandbox.client("logs")
        self._file = sandbox.location.server_log
        self._wanted = wanted
        self._seen: Counter[tuple[str, int, str]] = Counter()
        self._offset = 0

    def last(self, count: int) -> list[str]:
        """The last lines, oldest first: the server's, then the functions'."""
        server = self._server_lines()
        functions = [line for _, line in sorted(self._events())]
        return server[-count:] + functions[-count:] if count else []

    def follow(self, count: int) -> Iterator[str]:
        """The last lines, and then every new one, until the caller stops."""
        yield from self.last(count)
        while True:
            yield from self._server_lines()
            yield from (line for _, line in sorted(self._events()))
            time.sleep(POLL)

    def _server_lines(self) -> list[str]:
        if self._wanted not in ("", SERVER) or not self._file.exists():
            return []
        with self._file.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._offset)
            text = file.read()
            self._offset = file.tell()
        return [f"{SERVER}: {line}" for line in text.splitlines()]

    def _events(self) -> Iterator[tuple[int, str]]:
        """Function log lines not yielded before, with their time in ms."""
        if self._wanted == SERVER:
            return
        for page in self._client.get_paginator("describe_log_groups").paginate():
            for group in page["logGroups"]:
                if self._wanted in group["logGroupName"]:
                    yield from self._group(group["logGroupName"])

    def _group(self, group: str) -> Iterator[tuple[int, str]]:
        found: Counter[tuple[str, int, str]] = Counter()
        for page in self._client.get_paginator("filter_log_events").paginate(logGroupName=group):
            for event in page["events"]:
                same = (group, event["timestamp"], event["message"])  # MiniStack gives its events no id
                found[same] += 1
                if found[same] > self._seen[same]:
                    yield event["timestamp"], _line(group, event)
        self._seen |= found


def _line(group: str, event: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC).strftime("%H:%M:%S.%f")[:-3]
    return f"{at} {group.rsplit('/', 1)[-1]}: {event['message'].rstrip()}"
