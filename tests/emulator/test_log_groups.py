"""DescribeLogGroups while functions begin new log streams."""

from __future__ import annotations

import threading

from ministack.services import cloudwatch_logs

from sandbox.emulator.behaviour import log_groups


def test_groups_are_described_while_their_streams_change():
    described = log_groups._again(cloudwatch_logs._describe_log_groups)
    cloudwatch_logs._create_log_group({"logGroupName": "busy"})
    streams, over = cloudwatch_logs._log_groups["busy"]["streams"], threading.Event()

    def write():
        number = 0
        while not over.is_set():
            number += 1
            streams[f"s{number % 50}"] = {"events": [{"message": "x"}]}
            streams.pop(f"s{(number + 25) % 50}", None)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        answers = [described({"logGroupNamePrefix": "busy"})[0] for _ in range(300)]
    finally:
        over.set()
        writer.join()
        cloudwatch_logs._log_groups.pop("busy", None)
    assert answers == [200] * 300
