"""Lambda: functions, who may call them, what feeds them."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.engine.aws import PARTITION
from sandbox.engine.registry import Handler, Made, handles
from sandbox.engine.shape import AutoName, capital, found, known, pick, section
from sandbox.engine.state import Record

CONFIGURATION = (
    "role runtime handler timeout memorySize environment description loggingConfig tracingConfig ephemeralStorage "
    "deadLetterConfig vpcConfig"
)
VERBATIM = "role runtime handler timeout memorySize description loggingConfig tracingConfig ephemeralStorage vpcConfig"


@handles(
    "aws:lambda/function:Function",
    # `layers` is accepted and left out: public layers are not to be had here, and the local runtime sees this Python's
    # packages, Powertools among them. `sourceCodeHash` only serves the provider's own comparison.
    properties="name packageType tags",
    updates=f"{CONFIGURATION} architectures code publish reservedConcurrentExecutions layers sourceCodeHash",
    name=AutoName("name", 64),
)
class Function(Handler):
    def create(self, inputs: Mapping[str, Any]) -> Made:
        made = self.aws.client("lambda").create_function(
            FunctionName=inputs["name"],
            Code={"ZipFile": inputs["code"].content},
            Tags=section(inputs, "tags"),
            **_configuration(inputs),
            **pick(inputs, "architectures publish"),
        )
        self._reserve(inputs)
        return Made(inputs["name"], self._outputs(made))

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        functions = self.aws.client("lambda")
        if changed & set(CONFIGURATION.split()):
            functions.update_function_configuration(FunctionName=record.id, **_configuration(inputs))
        if changed & {"architectures", "code"}:
            functions.update_function_code(
                FunctionName=record.id, ZipFile=inputs["code"].content, **pick(inputs, "architectures")
            )
        if "reservedConcurrentExecutions" in changed:
            self._reserve({"name": record.id, "reservedConcurrentExecutions": -1} | dict(inputs))
        return self._outputs(functions.get_function_configuration(FunctionName=record.id))

    def observed(self, record: Record) -> Mapping[str, Any]:
        functions = self.aws.client("lambda")
        made = functions.get_function_configuration(FunctionName=record.id)
        reserved = functions.get_function_concurrency(FunctionName=record.id).get("ReservedConcurrentExecutions", -1)
        code = record.inputs["code"]
        if made["CodeSha256"] != record.outputs["codeSha256"]:
            code = {"sha256": made["CodeSha256"]}
        return {
            **found(made, f"{VERBATIM} architectures"),
            "environment": {"variables": made.get("Environment", {}).get("Variables", {})},
            "reservedConcurrentExecutions": reserved,
            "code": code,
        }

    def delete(self, record: Record) -> None:
        self.aws.client("lambda").delete_function(FunctionName=record.id)

    def _reserve(self, inputs: Mapping[str, Any]) -> None:
        """Set the reserved concurrency; -1 means none, as in the provider."""
        reserved = inputs.get("reservedConcurrentExecutions")
        functions = self.aws.client("lambda")
        if reserved is not None and reserved >= 0:
            functions.put_function_concurrency(FunctionName=inputs["name"], ReservedConcurrentExecutions=reserved)
        elif reserved is not None:
            functions.delete_function_concurrency(FunctionName=inputs["name"])

    def _outputs(self, made: Mapping[str, Any]) -> dict[str, Any]:
        arn = made["FunctionArn"]
        invoke = f"arn:{PARTITION}:apigateway:{self.aws.region}:lambda:path/2015-03-31/functions"
        return {
            "arn": arn,
            "invokeArn": f"{invoke}/{arn}/invocations",
            "qualifiedArn": f"{arn}:{made['Version']}",
            "version": made["Version"],
            "lastModified": made["LastModified"],
            "codeSha256": made["CodeSha256"],
            "sourceCodeSize": made["CodeSize"],
        }


def _configuration(inputs: Mapping[str, Any]) -> dict[str, Any]:
    variables = section(known(section(inputs, "environment"), "variables"), "variables")
    return {**pick(inputs, VERBATIM, DeadLetterConfig="deadLetterConfig"), "Environment": {"Variables": variables}}


@handles(
    "aws:lambda/permission:Permission",
    properties="statementId action function principal sourceArn sourceAccount qualifier",
    name=AutoName("statementId", 100),
    part_of="function",
)
class Permission(Handler):
    """One statement of a function's policy."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        self.aws.client("lambda").add_permission(
            FunctionName=inputs["function"],
            **pick(inputs, "statementId action principal sourceArn sourceAccount qualifier"),
        )
        return Made(inputs["statementId"])

    def has(self, record: Record) -> bool:
        answer = self.aws.client("lambda").get_policy(FunctionName=record.inputs["function"])
        return record.id in {each["Sid"] for each in json.loads(answer["Policy"])["Statement"]}

    def delete(self, record: Record) -> None:
        self.aws.client("lambda").remove_permission(FunctionName=record.inputs["function"], StatementId=record.id)


MAPPING = (
    "batchSize bisectBatchOnFunctionError filterCriteria functionName functionResponseTypes "
    "maximumBatchingWindowInSeconds maximumRecordAgeInSeconds maximumRetryAttempts metricsConfig parallelizationFactor "
    "scalingConfig tumblingWindowInSeconds"
)


@handles(
    "aws:lambda/eventSourceMapping:EventSourceMapping",
    properties="eventSourceArn startingPosition startingPositionTimestamp tags",
    updates=f"{MAPPING} destinationConfig enabled",
)
class EventSourceMapping(Handler):
    """What reads a stream or a queue and calls a function."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        made = self.aws.client("lambda").create_event_source_mapping(
            Tags=section(inputs, "tags"),
            **_mapping(inputs),
            **pick(inputs, "eventSourceArn startingPosition startingPositionTimestamp"),
        )
        return Made(made["UUID"], self._outputs(made))

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        gone: dict[str, Any] = {
            "filterCriteria": {},
            "destinationConfig": {},
            "functionResponseTypes": [],
            "enabled": True,
        }
        wanted = {name: inputs.get(name, gone.get(name)) for name in changed}
        made = self.aws.client("lambda").update_event_source_mapping(UUID=record.id, **_mapping(wanted))
        return self._outputs(made)

    def observed(self, record: Record) -> Mapping[str, Any]:
        made = self.aws.client("lambda").get_event_source_mapping(UUID=record.id)
        failures: Mapping[str, Any] = section(section(made, "DestinationConfig"), "OnFailure")
        destinations = {"onFailure": found(failures, "", destinationArn="Destination")}
        writer = (
            {}
            if record.inputs["functionName"] == made["FunctionArn"].rpartition(":")[2]
            else found(made, "", functionName="FunctionArn")
        )
        return {**found(made, MAPPING.replace("functionName ", "")), **writer, "destinationConfig": destinations}

    def delete(self, record: Record) -> None:
        self.aws.client("lambda").delete_event_source_mapping(UUID=record.id)

    def _outputs(self, made: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "uuid": made["UUID"],
            "arn": self.aws.arn("lambda", f"event-source-mapping:{made['UUID']}"),
            "functionArn": made["FunctionArn"],
            "state": made["State"],
        }


def _mapping(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return pick(inputs, f"{MAPPING} enabled") | _destinations(inputs)


def _destinations(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Where what failed (or succeeded) goes: the provider's `destinationArn` or `destination` is AWS's Destination."""
    if inputs.get("destinationConfig") is None:
        return {}
    found = {
        capital(outcome): {"Destination": where.get("destinationArn") or where["destination"]}
        for outcome, where in inputs["destinationConfig"].items()
    }
    return {"DestinationConfig": found}


@handles(
    "aws:lambda/functionRecursionConfig:FunctionRecursionConfig",
    properties="functionName",
    updates="recursiveLoop",
    part_of="functionName",
)
class FunctionRecursionConfig(Handler):
    """Whether a function may call itself again and again."""

    def create(self, inputs: Mapping[str, Any]) -> Made:
        self.aws.client("lambda").put_function_recursion_config(**pick(inputs, "functionName recursiveLoop"))
        return Made(inputs["functionName"])

    def update(self, record: Record, inputs: Mapping[str, Any], changed: frozenset[str]) -> Mapping[str, Any]:
        return self.create(inputs).outputs

    def observed(self, record: Record) -> Mapping[str, Any]:
        place = {"FunctionName": record.inputs["functionName"]}
        return found(self.aws.client("lambda").get_function_recursion_config(**place), "recursiveLoop")

    def delete(self, record: Record) -> None:
        name = record.inputs["functionName"]
        self.aws.client("lambda").put_function_recursion_config(FunctionName=name, RecursiveLoop="Terminate")
