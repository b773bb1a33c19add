"""Roles and what they may do."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, found, pick, tags
from sandbox.engine.state import Record


@handles(
    "aws:iam/role:Role",
    properties="name path tags",
    updates="assumeRolePolicy description forceDetachPolicies maxSessionDuration permissionsBoundary",
    name=AutoName("name", 64),
)
class Role(Handler):
    """A role; its policies are resources of their own."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        role = self.aws.client("iam").create_role(
            RoleName=inputs["name"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Tags=tags(inputs),
            **pick(inputs, "path description maxSessionDuration permissionsBoundary"),
        )["Role"]
        return Made(inputs["name"], {"arn": role["Arn"], "uniqueId": role["RoleId"]})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        iam = self.aws.client("iam")
        if "assumeRolePolicy" in changed:
            iam.update_assume_role_policy(RoleName=record.id, PolicyDocument=inputs["assumeRolePolicy"])
        if "permissionsBoundary" in changed:
            self._bound(record.id, inputs.get("permissionsBoundary"))
        if changed & {"description", "maxSessionDuration"}:
            iam.update_role(RoleName=record.id, **pick(inputs, "description maxSessionDuration"))
        return {}

    def _bound(self, role: str, boundary: str | None) -> None:
        iam = self.aws.client("iam")
        if boundary:
            iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=boundary)
        else:
            iam.delete_role_permissions_boundary(RoleName=role)

    def observed(self, record: Record) -> Mapping[str, Any]:
        role = self.aws.client("iam").get_role(RoleName=record.id)["Role"]
        return {
            "assumeRolePolicy": json.dumps(role["AssumeRolePolicyDocument"]),
            "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
            **found(role, "description maxSessionDuration"),
        }

    def delete(self, record: Record) -> None:
        self.aws.client("iam").delete_role(RoleName=record.id)


@handles(
    "aws:iam/rolePolicy:RolePolicy",
    properties="name role",
    updates="policy",
    name=AutoName("name", 128),
    part_of="role",
)
class RolePolicy(Handler):
    def create(self, inputs: Mapping[str, Any]) -> Made:
        self._put(inputs)
        return Made(f"{inputs['role']}:{inputs['name']}")

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        self._put(inputs)
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        place = {"RoleName": record.inputs["role"], "PolicyName": record.inputs["name"]}
        return {"policy": json.dumps(self.aws.client("iam").get_role_policy(**place)["PolicyDocument"])}

    def delete(self, record: Record) -> None:
        role, name = record.inputs["role"], record.inputs["name"]
        self.aws.client("iam").delete_role_policy(RoleName=role, PolicyName=name)

    def _put(self, inputs: Mapping[str, Any]) -> None:
        arguments = {"RoleName": inputs["role"], "PolicyName": inputs["name"], "PolicyDocument": inputs["policy"]}
        self.aws.client("iam").put_role_policy(**arguments)


@handles("aws:iam/policy:Policy", properties="name path description tags", updates="policy", name=AutoName("name", 128))
class Policy(Handler):
    """A managed policy; of its versions only the one in force is kept."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        arguments = pick(inputs, "path description", PolicyName="name", PolicyDocument="policy")
        made = self.aws.client("iam").create_policy(**arguments, Tags=tags(inputs))["Policy"]
        return Made(made["Arn"], {"arn": made["Arn"], "policyId": made["PolicyId"]})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        policy = {"PolicyArn": record.id}
        self.aws.client("iam").create_policy_version(**policy, PolicyDocument=inputs["policy"], SetAsDefault=True)
        self._forget_versions(policy)
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        iam, policy = self.aws.client("iam"), {"PolicyArn": record.id}
        version = iam.get_policy(**policy)["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(**policy, VersionId=version)["PolicyVersion"]["Document"]
        return {"policy": json.dumps(document)}

    def delete(self, record: Record) -> None:
        policy = {"PolicyArn": record.id}
        self._forget_versions(policy)
        self.aws.client("iam").delete_policy(**policy)

    def _forget_versions(self, policy: Mapping[str, str]) -> None:
        iam = self.aws.client("iam")
        for version in iam.list_policy_versions(**policy)["Versions"]:
            if not version["IsDefaultVersion"]:
                iam.delete_policy_version(**policy, VersionId=version["VersionId"])


@handles("aws:iam/rolePolicyAttachment:RolePolicyAttachment", properties="role policyArn", part_of="role")
class RolePolicyAttachment(Handler):
    """A managed policy's hold on a role."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        self.aws.client("iam").attach_role_policy(**_attached(inputs))
        return Made(f"{inputs['role']}/{inputs['policyArn']}")

    def has(self, record: Record) -> bool:
        attached = self.aws.client("iam").list_attached_role_policies(RoleName=record.inputs["role"])
        return record.inputs["policyArn"] in {each["PolicyArn"] for each in attached["AttachedPolicies"]}

    def delete(self, record: Record) -> None:
        self.aws.client("iam").detach_role_policy(**_attached(record.inputs))


def _attached(inputs: Mapping[str, Any]) -> dict[str, str]:
    return {"RoleName": inputs["role"], "PolicyArn": inputs["policyArn"]}


@handles(
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
    properties="url tags",
    updates="clientIdLists",
    delete_first=True,
)
class OpenIdConnectProvider(Handler):
    """Whose tokens may take on roles; an account has one for a URL."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        arguments = pick(inputs, "url", ClientIDList="clientIdLists")
        made = self.aws.client("iam").create_open_id_connect_provider(**arguments, Tags=tags(inputs))
        return Made(made["OpenIDConnectProviderArn"], {"arn": made["OpenIDConnectProviderArn"]})

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        iam, provider = self.aws.client("iam"), {"OpenIDConnectProviderArn": record.id}
        old, new = set(record.inputs["clientIdLists"]), set(inputs["clientIdLists"])
        for audience in sorted(new - old):
            iam.add_client_id_to_open_id_connect_provider(**provider, ClientID=audience)
        for audience in sorted(old - new):
            iam.remove_client_id_from_open_id_connect_provider(**provider, ClientID=audience)
        return {}

    def observed(self, record: Record) -> Mapping[str, Any]:
        provider = self.aws.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=record.id)
        return {"clientIdLists": provider["ClientIDList"]}

    def delete(self, record: Record) -> None:
        self.aws.client("iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=record.id)
