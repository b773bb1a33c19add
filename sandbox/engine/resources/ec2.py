"""The network: VPC, subnets, security groups and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.engine.names import AutoName
from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import known, pick, tags
from sandbox.engine.state import Record

DNS = (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames"))


def tagged(kind: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """EC2's way to tag at creation; empty without tags."""
    return [{"ResourceType": kind, "Tags": tags(inputs)}] if inputs.get("tags") else []


@handles(
    "aws:ec2/vpc:Vpc",
    properties="cidrBlock instanceTenancy tags",
    updates="enableDnsHostnames enableDnsSupport",
)
class Vpc(Handler):
    """A VPC and the two DNS switches that are set one by one."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        ec2 = self.aws.client("ec2")
        vpc = ec2.create_vpc(**pick(inputs, "cidrBlock instanceTenancy"), TagSpecifications=tagged("vpc", inputs))[
            "Vpc"
        ]
        self._dns(vpc["VpcId"], inputs)
        group = self._default("security_groups", "SecurityGroups", vpc["VpcId"], "group-name", "default")["GroupId"]
        table = self._default("route_tables", "RouteTables", vpc["VpcId"], "association.main", "true")["RouteTableId"]
        return Made(
            vpc["VpcId"],
            {
                "arn": self.aws.arn("ec2", f"vpc/{vpc['VpcId']}"),
                "defaultSecurityGroupId": group,
                "defaultRouteTableId": table,
                "mainRouteTableId": table,
                "ownerId": self.aws.account,
            },
        )

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        self._dns(record.id, {key: inputs.get(key, key == "enableDnsSupport") for key in changed})
        return {}

    def delete(self, record: Record) -> None:
        self.aws.client("ec2").delete_vpc(VpcId=record.id)

    def _dns(self, vpc: str, inputs: Mapping[str, Any]) -> None:
        for name, attribute in DNS:
            if name in inputs:
                self.aws.client("ec2").modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": inputs[name]}})

    def _default(self, what: str, key: str, vpc: str, name: str, value: str) -> Mapping[str, Any]:
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": name, "Values": [value]}]
        return getattr(self.aws.client("ec2"), f"describe_{what}")(Filters=filters)[key][0]


@handles(
    "aws:ec2/subnet:Subnet",
    properties="vpcId cidrBlock availabilityZone tags",
    updates="mapPublicIpOnLaunch",
)
class Subnet(Handler):
    """A subnet in one zone."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        arguments = pick(inputs, "vpcId cidrBlock availabilityZone")
        subnet = self.aws.client("ec2").create_subnet(**arguments, TagSpecifications=tagged("subnet", inputs))["Subnet"]
        if "mapPublicIpOnLaunch" in inputs:
            self._public(subnet["SubnetId"], inputs["mapPublicIpOnLaunch"])
        return Made(
            subnet["SubnetId"],
            {
                "arn": self.aws.arn("ec2", f"subnet/{subnet['SubnetId']}"),
                "availabilityZone": subnet["AvailabilityZone"],
                "ownerId": self.aws.account,
            },
        )

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        self._public(record.id, bool(inputs.get("mapPublicIpOnLaunch")))
        return {}

    def delete(self, record: Record) -> None:
        self.aws.client("ec2").delete_subnet(SubnetId=record.id)

    def _public(self, subnet: str, value: bool) -> None:
        self.aws.client("ec2").modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": value})


@handles(
    "aws:ec2/securityGroup:SecurityGroup",
    properties="name description vpcId ingress egress revokeRulesOnDelete tags",
    name=AutoName("name", 255),
)
class SecurityGroup(Handler):
    """A security group with its inline rules; like the provider, it starts without the open egress rule."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        ec2 = self.aws.client("ec2")
        group = ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs.get("description", "Managed by Pulumi"),
            VpcId=inputs["vpcId"],
            TagSpecifications=tagged("security-group", inputs),
        )["GroupId"]
        self._revoke_default(group)
        for rules, authorize in (
            (inputs.get("ingress"), ec2.authorize_security_group_ingress),
            (inputs.get("egress"), ec2.authorize_security_group_egress),
        ):
            if rules:
                authorize(GroupId=group, IpPermissions=[permission(rule, group) for rule in rules])
        arn = self.aws.arn("ec2", f"security-group/{group}")
        return Made(group, {"arn": arn, "ownerId": self.aws.account})

    def delete(self, record: Record) -> None:
        self.aws.client("ec2").delete_security_group(GroupId=record.id)

    def _revoke_default(self, group: str) -> None:
        ec2 = self.aws.client("ec2")
        found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
        if found["IpPermissionsEgress"]:
            ec2.revoke_security_group_egress(GroupId=group, IpPermissions=found["IpPermissionsEgress"])


def permission(rule: Mapping[str, Any], group: str) -> dict[str, Any]:
    """An inline rule as EC2 wants it; `self` means the group itself."""
    known(rule, "protocol fromPort toPort cidrBlocks ipv6CidrBlocks securityGroups self description")
    groups = [*rule.get("securityGroups", []), *([group] if rule.get("self") else [])]
    found: dict[str, Any] = {"IpProtocol": str(rule["protocol"])}
    if found["IpProtocol"] != "-1":
        found |= {"FromPort": rule["fromPort"], "ToPort": rule["toPort"]}
    found["IpRanges"] = [{"CidrIp": cidr} for cidr in rule.get("cidrBlocks", [])]
    found["Ipv6Ranges"] = [{"CidrIpv6": cidr} for cidr in rule.get("ipv6CidrBlocks", [])]
    found["UserIdGroupPairs"] = [{"GroupId": member} for member in groups]
    return {key: value for key, value in found.items() if value != []}


class Rule(Handler):
    """A rule that is a resource of its own."""

    direction: str

    def create(self, inputs: Mapping[str, Any]) -> Made:
        rule: dict[str, Any] = pick(inputs, "ipProtocol fromPort toPort")
        if "cidrIpv4" in inputs:
            rule["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"]}]
        if "cidrIpv6" in inputs:
            rule["Ipv6Ranges"] = [{"CidrIpv6": inputs["cidrIpv6"]}]
        if "referencedSecurityGroupId" in inputs:
            rule["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"]}]
        authorize = getattr(self.aws.client("ec2"), f"authorize_security_group_{self.direction}")
        made = authorize(GroupId=inputs["securityGroupId"], IpPermissions=[rule])["SecurityGroupRules"][0]
        id_ = made["SecurityGroupRuleId"]
        return Made(id_, {"arn": self.aws.arn("ec2", f"security-group-rule/{id_}"), "securityGroupRuleId": id_})

    def delete(self, record: Record) -> None:
        revoke = getattr(self.aws.client("ec2"), f"revoke_security_group_{self.direction}")
        revoke(GroupId=record.inputs["securityGroupId"], SecurityGroupRuleIds=[record.id])


RULE = "securityGroupId ipProtocol fromPort toPort cidrIpv4 cidrIpv6 referencedSecurityGroupId description tags"


@handles("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", properties=RULE)
class IngressRule(Rule):
    """What may come in."""

    direction = "ingress"


@handles("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", properties=RULE)
class EgressRule(Rule):
    """What may go out."""

    direction = "egress"


@handles("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", properties="vpcId ingress egress tags")
class DefaultSecurityGroup(Handler):
    """The VPC's own group, adopted and emptied as the provider does; rules on it are not needed here."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        ec2 = self.aws.client("ec2")
        if inputs.get("ingress") or inputs.get("egress"):
            raise ValueError("the sandbox only empties the default security group; give rules to a group of their own")
        filters = [
            {"Name": "vpc-id", "Values": [inputs["vpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ]
        group = ec2.describe_security_groups(Filters=filters)["SecurityGroups"][0]
        if group["IpPermissions"]:
            ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
        if group["IpPermissionsEgress"]:
            ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
        return Made(group["GroupId"], {"arn": self.aws.arn("ec2", f"security-group/{group['GroupId']}")})

    def delete(self, record: Record) -> None:
        """Nothing: it goes with its VPC."""
