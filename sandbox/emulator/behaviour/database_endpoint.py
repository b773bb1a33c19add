"""A cluster's and an instance's endpoint, which leads to its database.

MiniStack names an endpoint like AWS's, which leads nowhere unless it has started a container. Here it is the address of
the sandbox's database (sandbox/database). This file can go when MiniStack takes an external server.
"""
# pyright: basic

from typing import Any

from ministack.services import rds

from sandbox.emulator.patching import check_version, wrap


def install(address: str, port: int) -> None:
    """Let every endpoint of RDS be this address."""
    check_version("behaviour/database_endpoint")

    def describing_cluster(stock: Any) -> Any:
        def describe(cluster: dict[str, Any]) -> Any:
            cluster.update(Endpoint=address, ReaderEndpoint=address, Port=port)
            return stock(cluster)

        return describe

    def describing_instance(stock: Any) -> Any:
        def describe(instance: dict[str, Any]) -> Any:
            return stock({**instance, "Endpoint": {"Address": address, "Port": port}})

        return describe

    wrap(rds, "_cluster_xml", describing_cluster)
    wrap(rds, "_instance_xml", describing_instance)
