"""The bridge's mapping is switched off for a moment and on again, as an operator might do."""

import time

from botocore.exceptions import ClientError

from sandbox.chaos.faults.attack import Attack

BRIEFLY = 0.1  # seconds


def pause_bridge(attack: Attack) -> None:
    away, functions = attack.rng.uniform(0.3, 2.0), attack.arena.clients.functions
    mapping = attack.arena.deployed.bridge_mapping_id
    functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    attack.note(f"the bridge is paused for {away:.1f} s")
    time.sleep(away)
    while True:  # throttled meanwhile, it must be tried again
        try:
            functions.update_event_source_mapping(UUID=mapping, Enabled=True)
        except ClientError:
            time.sleep(BRIEFLY)
        else:
            return
