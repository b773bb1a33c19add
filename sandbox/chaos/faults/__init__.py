"""The faults, one a module: a function that does harm, waits as long as it must, and repairs it.

A fault draws whatever it chooses from `attack.rng`, so that a seed repeats it. A new one stands in FAULTS;
sandbox/chaos/scenario.py says during which commands it may be injected.
"""

from collections.abc import Mapping

from sandbox.chaos.faults.attack import Attack, Fault
from sandbox.chaos.faults.deliver_again import deliver_again
from sandbox.chaos.faults.deploy_over import deploy_over
from sandbox.chaos.faults.drop_permission import drop_permission
from sandbox.chaos.faults.empty_table import empty_table
from sandbox.chaos.faults.end_connections import end_connections
from sandbox.chaos.faults.foreign_items import foreign_items
from sandbox.chaos.faults.kill_at_boundary import kill_at_boundary
from sandbox.chaos.faults.kill_bridge import kill_bridge
from sandbox.chaos.faults.kill_lane import kill_lane
from sandbox.chaos.faults.kill_runbook import kill_runbook
from sandbox.chaos.faults.kill_workers import kill_workers
from sandbox.chaos.faults.late_adoption import late_adoption
from sandbox.chaos.faults.late_call import late_call
from sandbox.chaos.faults.late_fence import late_fence
from sandbox.chaos.faults.late_install import late_install
from sandbox.chaos.faults.late_lane import late_lane
from sandbox.chaos.faults.late_route import late_route
from sandbox.chaos.faults.lost_adoption import lost_adoption
from sandbox.chaos.faults.lost_answer import lost_answer
from sandbox.chaos.faults.new_stream import new_stream
from sandbox.chaos.faults.overtake_adoption import overtake_adoption
from sandbox.chaos.faults.pause_bridge import pause_bridge
from sandbox.chaos.faults.pause_bridge_worker import pause_bridge_worker
from sandbox.chaos.faults.pause_gate import pause_gate
from sandbox.chaos.faults.pause_lane import pause_lane
from sandbox.chaos.faults.pause_operator import pause_operator
from sandbox.chaos.faults.pause_writer import pause_writer
from sandbox.chaos.faults.restart_database import restart_database
from sandbox.chaos.faults.second_operator import second_operator
from sandbox.chaos.faults.skew_function import skew_function
from sandbox.chaos.faults.skew_operator import skew_operator
from sandbox.chaos.faults.take_over import take_over
from sandbox.chaos.faults.throttle import throttle

__all__ = ["FAULTS", "Attack", "Fault"]

FAULTS: Mapping[str, Fault] = {
    one.__name__: one
    for one in (
        kill_runbook,
        kill_at_boundary,
        restart_database,
        kill_workers,
        kill_bridge,
        kill_lane,
        throttle,
        pause_bridge,
        deliver_again,
        second_operator,
        foreign_items,
        empty_table,
        new_stream,
        take_over,
        pause_operator,
        pause_gate,
        pause_writer,
        pause_bridge_worker,
        pause_lane,
        late_route,
        late_fence,
        late_install,
        late_lane,
        late_call,
        lost_answer,
        skew_operator,
        skew_function,
        deploy_over,
        drop_permission,
        overtake_adoption,
        lost_adoption,
        late_adoption,
        end_connections,
    )
}
