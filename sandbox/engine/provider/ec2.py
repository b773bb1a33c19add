"""The network: VPC, subnets, security groups and their rules."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, known, pick, tags
from sandbox.engine.state import Record

DNS = (("enableDnsSupport", "EnableDnsSupport"), ("enableDnsHostnames", "EnableDnsHostnames"))


def tagged(kind: str, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """EC2's way to tag at creation; empty without tags."""
    return [{"ResourceType": kind, "Tags": tags(inputs)}] if inputs.get("tags") else []


@handles("aws:ec2/vpc:Vpc", properties="cidrBlock instanceTenancy tags", updates="enableDnsHostnames enableDnsSupport")
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

    def observed(self, record: Record) -> Mapping[str, Any]:
        ec2 = self.aws.client("ec2")
        answers = {
            name: ec2.describe_vpc_attribute(VpcId=record.id, Attribute=name)[capital]["Value"] for name, capital in DNS
        }
        return dict(answers)

    def delete(self, record: Record) -> None:
        self.aws.client("ec2").delete_vpc(VpcId=record.id)

    def _dns(self, vpc: str, inputs: Mapping[str, Any]) -> None:
        for name, attribute in DNS:
            if name in inputs:
                self.aws.client("ec2").modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": inputs[name]}})

    def _default(self, what: str, key: str, vpc: str, name: str, value: str) -> Mapping[str, Any]:
        filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": name, "Values": [value]}]
        return getattr(self.aws.client("ec2"), f"describe_{what}")(Filters=filters)[key][0]


@handles("aws:ec2/subnet:Subnet", properties="vpcId cidrBlock availabilityZone tags", updates="mapPublicIpOnLaunch")
class Subnet(Handler):
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
    properties="name description vpcId tags",
    updates="ingress egress revokeRulesOnDelete",
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
        self._revoke(group, "IpPermissionsEgress", ec2.revoke_security_group_egress)
        self._authorize(group, inputs)
        arn = self.aws.arn("ec2", f"security-group/{group}")
        return Made(group, {"arn": arn, "ownerId": self.aws.account})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        ec2 = self.aws.client("ec2")
        if "ingress" in changed:
            self._revoke(record.id, "IpPermissions", ec2.revoke_security_group_ingress)
        if "egress" in changed:
            self._revoke(record.id, "IpPermissionsEgress", ec2.revoke_security_group_egress)
        self._authorize(record.id, {name: inputs[name] for name in changed if name in inputs})
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        (group,) = self.aws.client("ec2").describe_security_groups(GroupIds=[record.id])["SecurityGroups"]
        directions = {"ingress": "IpPermissions", "egress": "IpPermissionsEgress"}
        return {
            name: _rules(record.inputs.get(name, []), group[member], record.id) for name, member in directions.items()
        }

    def delete(self, record: Record) -> None:
        self.aws.client("ec2").delete_security_group(GroupId=record.id)

    def _authorize(self, group: str, inputs: Mapping[str, Any]) -> None:
        ec2 = self.aws.client("ec2")
        for rules, authorize in (
            (inputs.get("ingress"), ec2.authorize_security_group_ingress),
            (inputs.get("egress"), ec2.authorize_security_group_egress),
        ):
            if rules:
                authorize(GroupId=group, IpPermissions=[permission(rule, group) for rule in rules])

    def _revoke(self, group: str, direction: str, revoke: Callable[..., object]) -> None:
        """Remove every rule of one direction."""
        found = self.aws.client("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
        if found[direction]:
            revoke(GroupId=group, IpPermissions=found[direction])


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


def _rules(asked: list[dict[str, Any]], found: list[dict[str, Any]], group: str) -> list[dict[str, Any]]:
    """The inline rules that EC2's mean; those that were asked where they are the same."""
    same = sorted(map(_as_text, [permission(rule, group) for rule in asked])) == sorted(map(_as_text, found))
    return asked if same else [_rule(each) for each in found]


def _as_text(given: Mapping[str, Any]) -> str:
    return str(sorted(_rule(given).items()))


def _rule(given: Mapping[str, Any]) -> dict[str, Any]:
    ranges = {"IpRanges": ("CidrIp", "cidrBlocks"), "Ipv6Ranges": ("CidrIpv6", "ipv6CidrBlocks")}
    ranges |= {"UserIdGroupPairs": ("GroupId", "securityGroups")}
    rule = {"protocol": given["IpProtocol"], "fromPort": given.get("FromPort", 0), "toPort": given.get("ToPort", 0)}
    lists: dict[str, list[str]] = {
        name: sorted(each[key] for each in cast("list[dict[str, str]]", given.get(member, [])))
        for member, (key, name) in ranges.items()
    }
    return rule | {name: each for name, each in lists.items() if each}
