"""One Lambda function with a role of its own, named rights and a log group that does not grow for ever."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import pulumi
import pulumi_aws as aws

from components import policies


def archive(folder: Path, entities_file: Path) -> pulumi.AssetArchive:
    """Source files only, by name, so that the archive changes when the code does and not before."""
    sources = {
        str(path.relative_to(folder)): pulumi.FileAsset(str(path))
        for path in sorted((folder / "functions").rglob("*.py"))
    }
    return pulumi.AssetArchive({**sources, "entities.toml": pulumi.FileAsset(str(entities_file))})


def archive_with_mysql(folder: Path, entities_file: Path, authorities: Path) -> pulumi.AssetArchive:
    """The same with PyMySQL as it is installed here, and the authorities that a database's certificate is checked by.

    PyMySQL is pure Python, so it runs on every architecture.
    """
    driver = {
        str(file): pulumi.FileAsset(str(file.locate()))
        for file in sorted(metadata.files("PyMySQL") or [])
        if file.parts[0] == "pymysql" and file.suffix == ".py"
    }
    if not driver:
        raise RuntimeError("PyMySQL's files are not known to this Python; run `make setup`, and pulumi in .venv")
    more = {**driver, "database-ca.pem": pulumi.FileAsset(str(authorities))}
    return pulumi.AssetArchive({**archive(folder, entities_file).assets, **more})


RUNTIME, ARCHITECTURE = "python3.13", "arm64"
API_TIMEOUT = 60  # seconds; the article's, and more than API Gateway's 29
MEMORY = 512  # MB; below that Python's start costs more than the memory saves
METRICS = "streamback"  # the namespace of what the functions measure themselves


@dataclass(frozen=True, kw_only=True)
class FunctionDefaults:
    """What all functions of a stack share.

    Attributes:
        code: the archive.
        layers: layer version ARNs.
        boundary_arn: the policy that bounds their roles; empty for none.
    """

    code: pulumi.Archive
    layers: Sequence[pulumi.Input[str]]
    log_retention_days: int
    boundary_arn: str = ""
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class FunctionNetwork:
    """Where a function is that connects to the database: subnets of its VPC, and a security group that it lets in."""

    subnet_ids: Sequence[pulumi.Input[str]]
    security_group_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class FunctionArgs:
    """What a function is.

    Attributes:
        handler: module and attribute in the archive.
        statements: rights besides logging, as policy statements.
        variables: its environment.
        timeout: seconds.
        network: the VPC that it is in; without one it reaches AWS's services, and no database.
    """

    handler: str
    defaults: FunctionDefaults
    statements: Sequence[dict[str, Any]]
    variables: Mapping[str, pulumi.Input[str]]
    timeout: int = API_TIMEOUT
    network: FunctionNetwork | None = None


class Invocable(Protocol):
    """A function that others call: one of the stack's, or an adopted one."""

    @property
    def name(self) -> pulumi.Input[str]: ...

    @property
    def arn(self) -> pulumi.Input[str]: ...

    @property
    def invoke_arn(self) -> pulumi.Input[str]: ...

    @property
    def timeout(self) -> int: ...

    @property
    def service(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class FunctionReference:
    """An adopted function; `name` and `arn` have the alias by which it is called, `timeout` is in seconds."""

    name: str
    arn: str
    invoke_arn: str
    timeout: int
    service: str


class Function(pulumi.ComponentResource):
    """A Lambda function; `name`, `arn`, `invoke_arn` and `timeout` are its function's, `role` is what it works as.

    `service` is the dimension of the metrics that it writes to the namespace METRICS.
    """

    def __init__(self, name: str, args: FunctionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("streamback:compute:Function", name, None, opts)
        shared, child = args.defaults, pulumi.ResourceOptions(parent=self)
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs", retention_in_days=shared.log_retention_days, tags=shared.tags, opts=child
        )
        self.role = aws.iam.Role(
            name,  # function and role have no suffix: 64 characters are few for stack and entity
            assume_role_policy=pulumi.Output.json_dumps(policies.trust("lambda.amazonaws.com")),
            permissions_boundary=shared.boundary_arn or None,
            tags=shared.tags,
            opts=child,
        )
        rights = aws.iam.RolePolicy(
            f"{name}-rights",
            role=self.role.name,
            policy=policies.document(
                [policies.logging(logs.arn), *args.statements, *([policies.JOIN_NETWORK] if args.network else [])]
            ),
            opts=child,
        )
        self.function = aws.lambda_.Function(
            name,
            runtime=RUNTIME,
            architectures=[ARCHITECTURE],
            handler=args.handler,
            code=shared.code,
            layers=list(shared.layers),
            role=self.role.arn,
            timeout=args.timeout,
            memory_size=MEMORY,
            environment={"variables": {**_powertools(name), **args.variables}},
            vpc_config=_vpc(args.network) if args.network else None,
            logging_config={"log_format": "Text", "log_group": logs.name},  # Powertools writes JSON itself
            tags=shared.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )
        self.service = name
        self.name = self.function.name
        self.timeout = args.timeout
        self.arn = self.function.arn
        self.invoke_arn = self.function.invoke_arn
        self.register_outputs({"name": self.name, "arn": self.arn})


def _vpc(network: FunctionNetwork) -> aws.lambda_.FunctionVpcConfigArgsDict:
    return {"subnet_ids": list(network.subnet_ids), "security_group_ids": [network.security_group_id]}


def _powertools(name: str) -> dict[str, str]:
    return {"POWERTOOLS_SERVICE_NAME": name, "POWERTOOLS_METRICS_NAMESPACE": METRICS, "POWERTOOLS_LOG_LEVEL": "INFO"}
