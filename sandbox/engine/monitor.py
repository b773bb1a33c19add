"""The side of Pulumi's engine that a program talks to, answered in process instead of over gRPC."""

import logging
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2
from pulumi.runtime.settings import get_project, get_stack

from sandbox.engine import invokes, values
from sandbox.engine.deployment import Deployment
from sandbox.engine.errors import EngineError
from sandbox.engine.plan import Goal

STACK = "pulumi:pulumi:Stack"
# Not among them: resource references (a resource passed as an argument travels as its id) and transforms.
FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
)
LEVELS = {
    engine_pb2.DEBUG: logging.DEBUG,
    engine_pb2.INFO: logging.INFO,
    engine_pb2.WARNING: logging.WARNING,
    engine_pb2.ERROR: logging.ERROR,
}


class Monitor:
    """Pulumi's resource monitor over a deployment; its methods are the calls of the protocol."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.outputs: dict[str, Any] = {}

    def GetDeploymentInfo(self, _: empty_pb2.Empty) -> resource_pb2.DeploymentInfo:  # noqa: N802  # the protocol's
        return resource_pb2.DeploymentInfo(supportedFeatures=list(FEATURES))

    def RegisterResource(  # noqa: N802  # the protocol's
        self, request: resource_pb2.RegisterResourceRequest
    ) -> resource_pb2.RegisterResourceResponse:
        """Bring a resource to what the program says of it; a component only gets its URN."""
        urn = _urn(request.parent, request.type, request.name)
        self._deployment.claim(urn)
        if not request.custom:
            return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)
        id_, properties = self._deployment.register(_goal(urn, request))
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id_, object=values.encode(properties, request.object))

    def RegisterResourceOutputs(  # noqa: N802  # the protocol's
        self, request: resource_pb2.RegisterResourceOutputsRequest
    ) -> empty_pb2.Empty:
        """Keep the stack's outputs; those of components are only for display."""
        if request.urn.split("::")[2] == STACK:
            self.outputs = values.decode(request.outputs)
        return empty_pb2.Empty()

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> resource_pb2.ResourceInvokeResponse:  # noqa: N802
        """Answer a provider function."""
        found = invokes.answer(request.tok, values.decode(request.args), self._deployment.aws)
        response = resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").CopyFrom(values.encode(found))  # a keyword of Python's
        return response

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> resource_pb2.ReadResourceResponse:  # noqa: N802
        """Refuse `Type.get`: a sandbox starts with nothing to read."""
        raise EngineError(
            f"({request.type}) the sandbox reads no resource that the program did not make: {request.name}"
        )

    def SignalAndWaitForShutdown(self, _: empty_pb2.Empty) -> empty_pb2.Empty:  # noqa: N802  # the protocol's
        return empty_pb2.Empty()


class Log:
    """Pulumi's engine interface, of which a program uses the log."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def Log(self, request: engine_pb2.LogRequest) -> empty_pb2.Empty:  # noqa: N802  # the protocol's
        self._logger.log(LEVELS.get(request.severity, logging.INFO), "%s", request.message)
        return empty_pb2.Empty()


def _urn(parent: str, type_: str, name: str) -> str:
    if parent:
        kinds = parent.split("::")[2]
        type_ = type_ if kinds == STACK else f"{kinds}${type_}"
    return f"urn:pulumi:{get_stack()}::{get_project()}::{type_}::{name}"


def _goal(urn: str, request: resource_pb2.RegisterResourceRequest) -> Goal:
    if request.importId:
        raise EngineError(f"({request.type}) the sandbox has nothing to import", urn)
    return Goal(
        urn=urn,
        type=request.type,
        name=request.name,
        inputs=values.decode(request.object),
        sources={name: frozenset(found.urns) for name, found in request.propertyDependencies.items()},
        ignore=tuple(request.ignoreChanges),
        replace_on=tuple(request.replaceOnChanges),
        protect=request.protect,
        retain=request.retainOnDelete,
        delete_first=request.deleteBeforeReplace,
    )
