"""Pulumi's provider `aws` for a sandbox: the protocol over the handlers that the sandbox's own engine uses, too."""

import functools
import importlib.metadata
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as protocol

from sandbox.engine import change, invokes, presence, provider, values
from sandbox.engine.aws import Aws
from sandbox.engine.errors import EngineError
from sandbox.engine.plan import differences, fixed, named, unknown_properties
from sandbox.engine.registry import TYPES, Handler
from sandbox.engine.state import Record
from sandbox.pulumi_cli import plugin
from sandbox.state import Folder

PACKAGE = "aws"
DEFAULTS = "__defaults"  # the input in which Pulumi's providers list the names that they made
KINDS = {
    (False, True): protocol.PropertyDiff.ADD,
    (True, True): protocol.PropertyDiff.UPDATE,
    (True, False): protocol.PropertyDiff.DELETE,
}
REPLACING = {
    protocol.PropertyDiff.ADD: protocol.PropertyDiff.ADD_REPLACE,
    protocol.PropertyDiff.UPDATE: protocol.PropertyDiff.UPDATE_REPLACE,
    protocol.PropertyDiff.DELETE: protocol.PropertyDiff.DELETE_REPLACE,
}
Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def version() -> str:
    """The version of pulumi-aws that the program uses."""
    return importlib.metadata.version("pulumi_aws")


def refusing(call: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """Report what a handler refuses as the error of a call of the protocol."""

    @functools.wraps(call)
    def answer(*given: Parameters.args, **named: Parameters.kwargs) -> Answer:
        try:
            return call(*given, **named)
        except change.REFUSALS as error:
            context = cast("grpc.ServicerContext", given[-1])
            context.abort(grpc.StatusCode.UNKNOWN, change.explain(error))

    return answer


class AwsProvider(provider_pb2_grpc.ResourceProviderServicer):
    """The provider over one emulator; the engine calls it from many threads."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: N802
        del request, context
        return plugin_pb2.PluginInfo(version=version())

    def GetSchema(  # noqa: N802  # the protocol's
        self, request: protocol.GetSchemaRequest, context: grpc.ServicerContext
    ) -> protocol.GetSchemaResponse:
        """Name the package and none of its types: pulumi-aws itself has their schema."""
        del request, context
        return protocol.GetSchemaResponse(schema=json.dumps({"name": PACKAGE, "version": version()}))

    def CheckConfig(  # noqa: N802  # the protocol's
        self, request: protocol.CheckRequest, context: grpc.ServicerContext
    ) -> protocol.CheckResponse:
        del context
        return protocol.CheckResponse(inputs=request.news)

    def DiffConfig(  # noqa: N802  # the protocol's
        self, request: protocol.DiffRequest, context: grpc.ServicerContext
    ) -> protocol.DiffResponse:
        del context
        same = request.old_inputs == request.news
        return protocol.DiffResponse(
            changes=protocol.DiffResponse.DIFF_NONE if same else protocol.DiffResponse.DIFF_SOME
        )

    def Configure(  # noqa: N802  # the protocol's
        self, request: protocol.ConfigureRequest, context: grpc.ServicerContext
    ) -> protocol.ConfigureResponse:
        del request, context
        return protocol.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    @refusing
    def Invoke(self, request: protocol.InvokeRequest, context: grpc.ServicerContext) -> protocol.InvokeResponse:  # noqa: N802
        del context
        response = protocol.InvokeResponse()
        found = invokes.answer(request.tok, values.decode(request.args), self._aws)
        getattr(response, "return").CopyFrom(values.encode(found))  # a keyword of Python's
        return response

    @refusing
    def Check(self, request: protocol.CheckRequest, context: grpc.ServicerContext) -> protocol.CheckResponse:  # noqa: N802
        """Refuse unknown properties, and name the resource where the program does not."""
        del context
        handler, inputs = _handler(request.type), values.decode(request.news)
        reason = "the sandbox does not know this property of this type"
        failures = [protocol.CheckFailure(property=name, reason=reason) for name in unknown_properties(inputs, handler)]
        complete = named(inputs, request.name, handler, _made_name(request.olds, handler))
        added = {name: value for name, value in complete.items() if name not in inputs}
        checked = struct_pb2.Struct()
        checked.CopyFrom(request.news)
        checked.update({**added, DEFAULTS: sorted(added)})
        return protocol.CheckResponse(inputs=checked, failures=failures)

    @refusing
    def Diff(self, request: protocol.DiffRequest, context: grpc.ServicerContext) -> protocol.DiffResponse:  # noqa: N802
        """What differs, and whether the resource must be replaced for it."""
        del context
        handler, old, new = _handler(request.type), _inputs(request.old_inputs), _inputs(request.news)
        changed = differences(values.for_state(old), new)
        replaces = fixed(changed, handler)
        return protocol.DiffResponse(
            changes=protocol.DiffResponse.DIFF_SOME if changed else protocol.DiffResponse.DIFF_NONE,
            diffs=sorted(changed),
            replaces=sorted(replaces),
            deleteBeforeReplace=handler.delete_first or _keeps_name(request.news, handler, changed),
            detailedDiff={name: _difference(name, old, new, replaces) for name in changed},
            hasDetailedDiff=True,
        )

    @refusing
    def Create(self, request: protocol.CreateRequest, context: grpc.ServicerContext) -> protocol.CreateResponse:  # noqa: N802
        del context
        worker, inputs = self._worker(request.type), _inputs(request.properties)
        if request.preview:
            return protocol.CreateResponse(properties=_properties(inputs, {}, request.properties))
        made = worker.create(inputs)
        return protocol.CreateResponse(id=made.id, properties=_properties(inputs, made.outputs, request.properties))

    @refusing
    def Update(self, request: protocol.UpdateRequest, context: grpc.ServicerContext) -> protocol.UpdateResponse:  # noqa: N802
        del context
        record, inputs = _record(request, request.old_inputs, request.olds), _inputs(request.news)
        outputs = {name: value for name, value in record.outputs.items() if name not in record.inputs}
        changed = differences(record.inputs, inputs)
        if changed and not request.preview:
            outputs |= change.update(self._worker(request.type), record, inputs, changed)
        return protocol.UpdateResponse(properties=_properties(inputs, outputs, request.news))

    @refusing
    def Read(self, request: protocol.ReadRequest, context: grpc.ServicerContext) -> protocol.ReadResponse:  # noqa: N802
        """Look at what is there; no id where the resource is not."""
        del context
        if not request.inputs.fields:
            raise EngineError("the sandbox reads no resource that the program did not make")
        record, worker = _record(request, request.inputs, request.properties), self._worker(request.type)
        if not presence.is_there(worker, record):
            return protocol.ReadResponse()
        before = dict(record.inputs)
        worker.refresh(record)
        found = {**record.outputs, **{name: record.inputs[name] for name in differences(before, record.inputs)}}
        return protocol.ReadResponse(
            id=request.id,
            inputs=values.encode(record.inputs, request.inputs),
            properties=values.encode({**record.inputs, **found}, request.properties),
        )

    @refusing
    def Delete(self, request: protocol.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        del context
        change.delete(self._worker(request.type), _record(request, request.old_inputs, request.properties))
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:  # noqa: N802
        """Let what is being done end: each call is short."""
        del request, context
        return empty_pb2.Empty()

    def _worker(self, type_: str) -> Handler:
        return _handler(type_)(self._aws)


def _handler(type_: str) -> type[Handler]:
    if type_ not in TYPES:
        raise EngineError(f"({type_}) the sandbox does not know this resource type")
    return TYPES[type_]


def _inputs(struct: struct_pb2.Struct) -> dict[str, Any]:
    """The inputs as the handlers know them."""
    return {name: value for name, value in values.decode(struct).items() if name != DEFAULTS}


def _properties(inputs: Mapping[str, Any], outputs: Mapping[str, Any], asked: struct_pb2.Struct) -> struct_pb2.Struct:
    """A resource's properties for the engine; those that are as they were asked stay secret where they were."""
    struct = values.encode({**inputs, **outputs}, asked)
    struct.fields.pop(DEFAULTS, None)
    return struct


def _record(
    request: protocol.UpdateRequest | protocol.ReadRequest | protocol.DeleteRequest,
    inputs: struct_pb2.Struct,
    properties: struct_pb2.Struct,
) -> Record:
    """What is there, as the sandbox's own engine would have recorded it."""
    return Record(
        urn=request.urn,
        type=request.type,
        id=request.id,
        inputs=values.for_state(_inputs(inputs)),
        outputs=values.for_state(values.decode(properties)),
    )


def _made_name(olds: struct_pb2.Struct, handler: type[Handler]) -> str:
    """The name that an earlier Check made; empty where there is none."""
    name = handler.autoname
    old = values.decode(olds)
    return old[name.property] if name and name.property in old.get(DEFAULTS, []) else ""


def _keeps_name(news: struct_pb2.Struct, handler: type[Handler], changed: frozenset[str]) -> bool:
    """Whether a successor would have its predecessor's name, because the program gives it."""
    name = handler.autoname
    if name is None or name.property in changed:
        return False
    return name.property not in values.decode(news).get(DEFAULTS, [])


def _difference(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any], replaces: frozenset[str]
) -> protocol.PropertyDiff:
    kind = KINDS[name in old, name in new]
    return protocol.PropertyDiff(kind=REPLACING[kind] if name in replaces else kind, inputDiff=True)


def main() -> None:
    """Serve the sandbox whose folder is the argument; without a server only previews are possible."""
    provider.load()
    served = Folder(Path(sys.argv[1])).daemon()
    servicer = AwsProvider(Aws(served.endpoint if served else ""))
    plugin.serve(lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server))


if __name__ == "__main__":
    main()
