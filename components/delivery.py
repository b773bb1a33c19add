"""Who may preview, deploy and operate a stack: GitHub's OIDC provider, and roles with docs/security.md's rights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from components import access_policies, policies
from components.deploying import DELIVERY_PATH, GITHUB
from components.rights import StackNames

BRANCH = "main"  # from which .github/workflows/ deploy, and look for drift each night
# Seconds until AWS takes a role's rights back: up.yml may take two hours.
LONG_SESSION, SESSION = 2 * 3600, 3600


@dataclass(frozen=True, kw_only=True)
class DeliveryArgs:
    """Who may take the roles on.

    Attributes:
        repository: OWNER/NAME at GitHub.
        provider_arn: the account's OIDC provider for GitHub; empty to make one, of which AWS allows one an account.
        operators: ARNs of users and roles that may act with the runbook; without any there is no such role.
        readers: of those that may look.
        named: the stack, whose names the rights are for.
        adopts: whether the stack has adopted something, for which `runbook adopt` needs rights.
    """

    repository: str
    provider_arn: str
    operators: Sequence[str]
    readers: Sequence[str]
    named: StackNames
    adopts: bool
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class Delivery(pulumi.ComponentResource):
    """The roles; `outputs` are their ARNs by the name of the stack's output.

    They carry no boundary, which is for the functions' roles. What deploys can read them and not change them.
    """

    def __init__(self, name: str, args: DeliveryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:delivery:Delivery", name, None, opts)
        self._name = name
        self._args = args
        self._path = DELIVERY_PATH.replace("{stack}", args.named.stack)
        self._child = pulumi.ResourceOptions(parent=self)
        provider = args.provider_arn or self._github().arn
        from_pull_requests = ("pull_request", f"ref:refs/heads/{BRANCH}")
        from_environment = (f"environment:{args.named.stack}",)
        roles = {
            "preview": self._role("preview", self._trust(provider, from_pull_requests)),
            "deploy": self._role("deploy", self._trust(provider, from_environment), LONG_SESSION),
        }
        people = {"operate": args.operators, "read": args.readers}
        roles |= {kind: self._role(kind, policies.trust_principals(arns)) for kind, arns in people.items() if arns}
        self.outputs = {f"{kind}RoleArn": role.arn for kind, role in roles.items()}
        self.register_outputs(self.outputs)

    def _github(self) -> aws.iam.OpenIdConnectProvider:
        return aws.iam.OpenIdConnectProvider(
            f"{self._name}-github",
            url=f"https://{GITHUB}",
            client_id_lists=[policies.AUDIENCE],
            tags=self._args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,  # why: an account has one for a URL
            ),
        )

    def _trust(self, provider: pulumi.Input[str], of: Sequence[str]) -> dict[str, Any]:
        subjects = [f"repo:{self._args.repository}:{each}" for each in of]
        return policies.trust_identities(provider, GITHUB, subjects)

    def _role(self, kind: str, trust: dict[str, Any], session: int = SESSION) -> aws.iam.Role:
        role = aws.iam.Role(
            f"{self._name}-{kind}",
            path=self._path,
            assume_role_policy=pulumi.Output.json_dumps(trust),
            max_session_duration=session,
            tags=self._args.tags,
            opts=self._child,
        )
        for number, document in enumerate(access_policies.of(kind, self._args.named, adopts=self._args.adopts)):
            self._attach(f"{self._name}-{kind}-{number}", role, document)
        return role

    def _attach(self, name: str, role: aws.iam.Role, document: dict[str, Any]) -> None:
        """Managed policies, since a role's inline ones have too few characters for the rights to deploy."""
        policy = aws.iam.Policy(
            name, path=self._path, policy=json.dumps(document), tags=self._args.tags, opts=self._child
        )
        aws.iam.RolePolicyAttachment(name, role=role.name, policy_arn=policy.arn, opts=self._child)
