"""Roles and what they may do."""

from collections.abc import Mapping
from typing import Any

from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, pick, tags
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

    def delete(self, record: Record) -> None:
        role, name = record.inputs["role"], record.inputs["name"]
        self.aws.client("iam").delete_role_policy(RoleName=role, PolicyName=name)

    def _put(self, inputs: Mapping[str, Any]) -> None:
        arguments = {"RoleName": inputs["role"], "PolicyName": inputs["name"], "PolicyDocument": inputs["policy"]}
        self.aws.client("iam").put_role_policy(**arguments)
