"""The network Aurora stands in: two zones, isolated subnets, no way in or out. The Data API needs none."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

CIDR = "10.0.0.0/24"
SUBNETS = ("10.0.0.0/26", "10.0.0.64/26")


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    zones: tuple[str, str]
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class Network(pulumi.ComponentResource):
    """A VPC with two isolated subnets; `subnet_ids` and `security_group_id` are for the cluster."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:network:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=CIDR,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags={**args.tags, "Name": name},
            opts=child,
        )
        subnets = [
            aws.ec2.Subnet(
                f"{name}-subnet-{number}",
                vpc_id=vpc.id,
                cidr_block=block,
                availability_zone=zone,
                tags={**args.tags, "Name": f"{name}-{number}"},
                opts=child,
            )
            for number, (zone, block) in enumerate(zip(args.zones, SUBNETS, strict=True))
        ]
        group = aws.ec2.SecurityGroup(
            f"{name}-database",
            vpc_id=vpc.id,
            description="Aurora of streamback: reached through the Data API only",
            tags=args.tags,
            opts=child,
        )
        self.subnet_ids = [subnet.id for subnet in subnets]
        self.security_group_id = group.id
        self.register_outputs({"subnet_ids": self.subnet_ids, "security_group_id": self.security_group_id})
