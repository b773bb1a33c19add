"""The REST API: fixed routes to either system, and public ones whose functions the stage variables name."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components import routes as routing
from components.adopted import ApiReference
from components.function import Invocable
from components.routes import Route
from functions.domain import names


@dataclass(frozen=True, kw_only=True)
class Handlers:
    """The functions that may answer for one entity; modern ones are None until that part is deployed."""

    legacy_read: Invocable
    legacy_write: Invocable
    modern_read: Invocable | None = None
    modern_write: Invocable | None = None


@dataclass(frozen=True, kw_only=True)
class ApiArgs:
    """What the API is; `auth` is `AWS_IAM` or `NONE`, `gate` is None until the bridge is deployed."""

    routes: Sequence[Route]
    init: Invocable | None
    gate: Invocable | None
    handlers: Mapping[str, Handlers]
    auth: str
    production: bool
    region: str
    account: str
    partition: str
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class Api(pulumi.ComponentResource):
    """A deployed API; `reference` is what others know of it."""

    def __init__(self, name: str, args: ApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:api:Api", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.rest, body = self._rest()
        self.stage = self._stage(body, self._permissions())
        self.reference = ApiReference(id=self.rest.id, stage=names.STAGE, url=self.stage.invoke_url)
        self.register_outputs({"url": self.reference.url})

    def _rest(self) -> tuple[aws.apigateway.RestApi, pulumi.Output[str]]:
        """The API with its routes, and the document that describes them."""
        args = self._args
        arns = {function.service: _known(function) for function in self._fixed().values()}
        body = pulumi.Output.all(**arns).apply(self._document)
        rest = aws.apigateway.RestApi(
            f"{self._name}-rest",
            description="One contract for both systems",
            body=body,
            endpoint_configuration={"types": "REGIONAL"},
            tags=args.tags,
            opts=self._child,
        )
        return rest, body

    def _fixed(self) -> dict[Route, Invocable]:
        """What answers each route that no stage variable decides."""
        fixed = [route for route in self._args.routes if route.system != "public"]
        return {route: function for route in fixed for function in self._answering(route).values()}

    def _document(self, arns: Mapping[str, str]) -> str:
        """The API's OpenAPI document, in JSON; `arns` are those to invoke the functions of fixed routes by."""
        uris = {route: arns[function.service] for route, function in self._fixed().items()}
        uris |= {route: self._variable_uri(route) for route in self._args.routes if route.system == "public"}
        return json.dumps(routing.document(self._args.routes, uris, self._args.auth), sort_keys=True)

    def _variable_uri(self, route: Route) -> str:
        args = self._args
        variable = names.reads_variable(route.entity) if route.reads else names.writes_variable(route.entity)
        prefix = f"arn:{args.partition}:apigateway:{args.region}:lambda:path/2015-03-31/functions"
        function = f"arn:{args.partition}:lambda:{args.region}:{args.account}:function"
        return f"{prefix}/{function}:${{stageVariables.{variable}}}/invocations"

    def _answering(self, route: Route) -> dict[str, Invocable]:
        """The functions that may be asked for a route by role: one, or for a public one those of its stage variable."""
        if route.system == "init":
            return {"init": self._args.init} if self._args.init else {}
        known = self._args.handlers[route.entity]
        roles = {
            "legacy": known.legacy_read if route.reads else known.legacy_write,
            "modern": known.modern_read if route.reads else known.modern_write,
            "gate": None if route.reads else self._args.gate,
        }
        wanted = roles if route.system == "public" else [route.system]
        return {role: function for role in wanted if (function := roles[role]) is not None}

    def _permissions(self) -> list[aws.lambda_.Permission]:
        granted = {
            routing.grant(route, role): function
            for route in self._args.routes
            for role, function in self._answering(route).items()
        }
        return [
            aws.lambda_.Permission(
                f"{self._name}{grant.name}",
                function=function.name,
                action="lambda:InvokeFunction",
                principal="apigateway.amazonaws.com",
                source_arn=pulumi.Output.concat(self.rest.execution_arn, "/", names.STAGE, "/", grant.source),
                opts=self._child,
            )
            for grant, function in granted.items()
        ]

    def _stage(self, body: pulumi.Output[str], permissions: Sequence[pulumi.Resource]) -> aws.apigateway.Stage:
        args = self._args
        deployment = aws.apigateway.Deployment(
            f"{self._name}-deployment",
            rest_api=self.rest.id,
            triggers={"body": body.apply(routing.digest)},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(permissions),
                retain_on_delete=True,  # why: a canary may still name the old one, and AWS would refuse to delete it
            ),
        )
        return aws.apigateway.Stage(
            f"{self._name}-stage",
            rest_api=self.rest.id,
            deployment=deployment.id,
            stage_name=names.STAGE,
            variables=self._variables(),
            tags=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.production,  # why: a destroy would take it, and all that it needs, before it is refused
                ignore_changes=["variables", "canarySettings"],  # why: the runbook owns them from now on (ADR 0001)
            ),
        )

    def _variables(self) -> dict[str, pulumi.Input[str]]:
        variables: dict[str, pulumi.Input[str]] = {}
        for entity, known in self._args.handlers.items():
            variables[names.reads_variable(entity)] = known.legacy_read.name
            variables[names.writes_variable(entity)] = known.legacy_write.name
        return variables


class GatePermissions(pulumi.ComponentResource):
    """The rights of an adopted API to call the gate: one for each method that writes, on the paths of one stage."""

    def __init__(
        self,
        name: str,
        gate: Invocable,
        execution_arn: str,
        methods: Collection[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("streamback:api:GatePermissions", name, None, opts)
        for method in sorted(methods):
            aws.lambda_.Permission(
                f"{name}-{method.lower()}-permission",
                function=gate.name,
                action="lambda:InvokeFunction",
                principal="apigateway.amazonaws.com",
                source_arn=f"{execution_arn}/{method}/*",
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"methods": sorted(methods)})


def _known(function: Invocable) -> pulumi.Output[str]:
    """The ARN; in a preview that cannot know it yet, a text in its place, so that the preview shows the routes."""
    arn = pulumi.Output.from_input(function.invoke_arn)
    return arn.apply(lambda arn: _text(arn, function.service), run_with_unknowns=True)


def _text(arn: object, service: str) -> str:
    return arn if isinstance(arn, str) else f"(the new function {service})"
