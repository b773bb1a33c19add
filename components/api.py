"""The REST API: fixed routes to either system, and public ones whose functions the stage variables name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws

from components import routes as routing
from components.function import Function
from components.routes import Route
from functions.domain import names


@dataclass(frozen=True, kw_only=True)
class Handlers:
    """The functions that may answer for one entity; modern ones are None until that part is deployed."""

    legacy_read: Function
    legacy_write: Function
    modern_read: Function | None = None
    modern_write: Function | None = None


@dataclass(frozen=True, kw_only=True)
class ApiArgs:
    """What the API is; `auth` is `AWS_IAM` or `NONE`, `gate` is None until the bridge is deployed."""

    routes: Sequence[Route]
    init: Function
    gate: Function | None
    handlers: Mapping[str, Handlers]
    auth: str
    region: str
    account: str
    partition: str
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


class Api(pulumi.ComponentResource):
    """A deployed API; `url` is its stage's."""

    def __init__(self, name: str, args: ApiArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:api:Api", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self.rest = aws.apigateway.RestApi(
            f"{name}-rest",
            description="One contract for both systems",
            endpoint_configuration={"types": "REGIONAL"},
            tags=args.tags,
            opts=self._child,
        )
        self._resources = self._make_resources()
        integrations = [self._integration(route) for route in args.routes]
        self.stage = self._stage([*integrations, *self._permissions()])
        self.url = self.stage.invoke_url
        self.register_outputs({"url": self.url})

    def _make_resources(self) -> dict[str, aws.apigateway.Resource]:
        made: dict[str, aws.apigateway.Resource] = {}
        for path in routing.paths(self._args.routes):
            parent, _, part = path.rpartition("/")
            made[path] = aws.apigateway.Resource(
                f"{self._name}{routing.slug(path)}",
                rest_api=self.rest.id,
                parent_id=made[parent].id if parent else self.rest.root_resource_id,
                path_part=part,
                opts=self._child,
            )
        return made

    def _integration(self, route: Route) -> aws.apigateway.Integration:
        name = f"{self._name}{routing.slug(route.path)}-{route.method.lower()}"
        resource = self._resources[route.path].id
        method = aws.apigateway.Method(
            f"{name}-method",
            rest_api=self.rest.id,
            resource_id=resource,
            http_method=route.method,
            authorization=self._args.auth,
            opts=self._child,
        )
        return aws.apigateway.Integration(
            f"{name}-integration",
            rest_api=self.rest.id,
            resource_id=resource,
            http_method=method.http_method,
            type="AWS_PROXY",
            integration_http_method="POST",
            uri=self._uri(route),
            opts=self._child,
        )

    def _uri(self, route: Route) -> pulumi.Input[str]:
        if route.system != "public":
            (function,) = self._answering(route).values()
            return function.invoke_arn
        args = self._args
        variable = names.reads_variable(route.entity) if route.reads else names.writes_variable(route.entity)
        prefix = f"arn:{args.partition}:apigateway:{args.region}:lambda:path/2015-03-31/functions"
        function = f"arn:{args.partition}:lambda:{args.region}:{args.account}:function"
        return f"{prefix}/{function}:${{stageVariables.{variable}}}/invocations"

    def _answering(self, route: Route) -> dict[str, Function]:
        """The functions that may be asked for a route by role: one, or for a public one those of its stage variable."""
        if route.system == "init":
            return {"init": self._args.init}
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

    def _stage(self, ready: Sequence[pulumi.Resource]) -> aws.apigateway.Stage:
        args = self._args
        deployment = aws.apigateway.Deployment(
            f"{self._name}-deployment",
            rest_api=self.rest.id,
            triggers={"routes": routing.fingerprint(args.routes, args.auth), "functions": self._targets()},
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(ready),
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
                ignore_changes=["variables", "canarySettings"],  # why: the runbook owns them from now on (ADR 0001)
            ),
        )

    def _targets(self) -> pulumi.Output[str]:
        """The functions of the fixed routes: a deployment goes on calling those it was made with."""
        fixed = {f"{r.method} {r.path}": self._uri(r) for r in self._args.routes if r.system != "public"}
        return pulumi.Output.json_dumps(fixed).apply(routing.digest)

    def _variables(self) -> dict[str, pulumi.Input[str]]:
        variables: dict[str, pulumi.Input[str]] = {}
        for entity, known in self._args.handlers.items():
            variables[names.reads_variable(entity)] = known.legacy_read.name
            variables[names.writes_variable(entity)] = known.legacy_write.name
        return variables
