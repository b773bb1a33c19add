"""The provider functions that look up what exists in the emulated account; each has a token of pulumi-aws's."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.engine.aws import Aws

Answer = Mapping[str, Any]


def _function(emulator: Aws, arguments: Answer) -> Answer:
    name, qualifier = arguments["functionName"], arguments.get("qualifier") or ""
    place = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
    found = emulator.client("lambda").get_function_configuration(**place)
    arn = emulator.arn("lambda", f"function:{name}")
    qualified = f"{arn}:{qualifier or '$LATEST'}"
    return {
        **arguments,
        "id": name,
        "arn": arn,
        "qualifiedArn": qualified,
        "invokeArn": _invoke(emulator, arn),
        "qualifiedInvokeArn": _invoke(emulator, f"{arn}:{qualifier}" if qualifier else arn),
        "timeout": found["Timeout"],
        "memorySize": found["MemorySize"],
        "runtime": found.get("Runtime", ""),
        "handler": found.get("Handler", ""),
        "role": found["Role"],
    }


def _invoke(emulator: Aws, arn: str) -> str:
    return f"arn:aws:apigateway:{emulator.region}:lambda:path/2015-03-31/functions/{arn}/invocations"


def _cluster(emulator: Aws, arguments: Answer) -> Answer:
    name = arguments["clusterIdentifier"]
    (found,) = emulator.client("rds").describe_db_clusters(DBClusterIdentifier=name)["DBClusters"]
    return {
        **arguments,
        "id": name,
        "arn": found["DBClusterArn"],
        "clusterResourceId": found["DbClusterResourceId"],
        "endpoint": found["Endpoint"],
        "port": found["Port"],
        "engine": found["Engine"],
        "engineVersion": found["EngineVersion"],
        "storageEncrypted": found.get("StorageEncrypted", False),
        "kmsKeyId": found.get("KmsKeyId", ""),
    }


def _instance(emulator: Aws, arguments: Answer) -> Answer:
    name = arguments["dbInstanceIdentifier"]
    (found,) = emulator.client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    place = found["Endpoint"]
    return {
        **arguments,
        "id": name,
        "dbInstanceArn": found["DBInstanceArn"],
        "resourceId": found["DbiResourceId"],
        "address": place["Address"],
        "port": place["Port"],
        "endpoint": f"{place['Address']}:{place['Port']}",
        "engine": found["Engine"],
        "engineVersion": found["EngineVersion"],
        "dbClusterIdentifier": found.get("DBClusterIdentifier", ""),
        "storageEncrypted": found.get("StorageEncrypted", False),
        "kmsKeyId": found.get("KmsKeyId", ""),
    }


def _proxy(emulator: Aws, arguments: Answer) -> Answer:
    name = arguments["name"]
    (found,) = emulator.client("rds").describe_db_proxies(DBProxyName=name)["DBProxies"]
    return {**arguments, "id": name, "arn": found["DBProxyArn"], "endpoint": found["Endpoint"]}


def _secret(emulator: Aws, arguments: Answer) -> Answer:
    found = emulator.client("secretsmanager").describe_secret(SecretId=arguments.get("arn") or arguments["name"])
    return {"id": found["ARN"], "arn": found["ARN"], "name": found["Name"]}


def _table(emulator: Aws, arguments: Answer) -> Answer:
    found = emulator.client("dynamodb").describe_table(TableName=arguments["name"])["Table"]
    keys = {each["KeyType"]: each["AttributeName"] for each in found["KeySchema"]}
    stream: Answer = found.get("StreamSpecification", {})
    return {
        "id": arguments["name"],
        "name": arguments["name"],
        "arn": found["TableArn"],
        "hashKey": keys["HASH"],
        "rangeKey": keys.get("RANGE", ""),
        "attributes": [
            {"name": each["AttributeName"], "type": each["AttributeType"]} for each in found["AttributeDefinitions"]
        ],
        "streamEnabled": bool(stream.get("StreamEnabled")),
        "streamViewType": stream.get("StreamViewType", ""),
        "streamArn": found.get("LatestStreamArn", ""),
        "streamLabel": found.get("LatestStreamLabel", ""),
    }


def _export(emulator: Aws, arguments: Answer) -> Answer:
    place = {
        "restApiId": arguments["restApiId"],
        "stageName": arguments["stageName"],
        "exportType": arguments["exportType"],
    }
    body = emulator.client("apigateway").get_export(**place)["body"].read().decode()
    json.loads(body)  # raises where it is not the document that was asked for
    return {**arguments, "id": ":".join(place.values()), "body": body, "contentType": "application/json"}


LOOKUPS: dict[str, Callable[[Aws, Answer], Answer]] = {
    "aws:lambda/getFunction:getFunction": _function,
    "aws:rds/getCluster:getCluster": _cluster,
    "aws:rds/getInstance:getInstance": _instance,
    "aws:rds/getProxy:getProxy": _proxy,
    "aws:secretsmanager/getSecret:getSecret": _secret,
    "aws:dynamodb/getTable:getTable": _table,
    "aws:apigateway/getExport:getExport": _export,
}
