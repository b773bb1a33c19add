"""DescribeLogGroups while functions begin new log streams."""

from __future__ import annotations

import sys
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
            streams[f"new-{number}"] = {"events": []}
            if number % 1000 == 0:
                streams.clear()

    writer = threading.Thread(target=write)
    writer.start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that the other thread gets its turn while this one adds up
    try:
        answers = [described({"logGroupNamePrefix": "busy"})[0] for _ in range(100)]
    finally:
        sys.setswitchinterval(interval)
        over.set()
        writer.join()
        cloudwatch_logs._log_groups.pop("busy", None)
    assert answers == [200] * 100
