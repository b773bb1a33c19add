"""Which method of which path is answered by what. Plain values; nothing here needs an engine."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from functions.domain import openapi

COLLECTION, ITEM = ("GET", "POST"), ("GET", "PUT", "DELETE")
SHARED = ("legacy", "gate")  # the roles whose functions serve all entities


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path.

    Attributes:
        path: from the stage on, e.g. `/aurora/chefs/{id}`.
        system: `init`, `legacy`, `modern`, or `public` for the one that the stage variables decide.
        entity: empty for `init`.
    """

    path: str
    method: str
    system: str
    entity: str = ""

    @property
    def reads(self) -> bool:
        return self.method == "GET"


def routes(entities: Iterable[str], parts: Collection[str]) -> list[Route]:
    names = list(entities)
    found = [Route(path="/aurora", method="GET", system="init")] if "legacy" in parts else []
    for system, prefix in (("legacy", "/aurora"), ("modern", "/dynamo"), ("public", "")):
        if system in parts or (system == "public" and "legacy" in parts):
            found += [route for name in names for route in _of(f"{prefix}/{name}", system, name)]
    return found


def _of(path: str, system: str, entity: str) -> list[Route]:
    collection = [Route(path=path, method=method, system=system, entity=entity) for method in COLLECTION]
    items = [Route(path=f"{path}/{{id}}", method=method, system=system, entity=entity) for method in ITEM]
    return [*collection, *items]


def paths(found: Iterable[Route]) -> list[str]:
    """Every path and the paths it hangs on, parents first."""
    wanted: set[str] = set()
    for route in found:
        steps = route.path.strip("/").split("/")
        wanted |= {"/" + "/".join(steps[:count]) for count in range(1, len(steps) + 1)}
    return sorted(wanted, key=lambda path: (path.count("/"), path))


@dataclass(frozen=True)
class Grant:
    """A right of API Gateway to call a function.

    Attributes:
        name: after the API's in the permission's.
        source: method and path in the permission's source ARN; `*` fits any number of path parts.
    """

    name: str
    source: str


def grant(route: Route, role: str) -> Grant:
    """The right that a route needs on the function of one role (`init`, `legacy`, `modern` or `gate`).

    AWS keeps 20,480 bytes of policy for a function. So one that serves all entities has one right per method, on every
    path. One of a single entity has it on the paths that have the entity's name in them.
    """
    method = route.method.lower()
    if role == "init":
        return Grant(f"-init-{method}-permission", f"{route.method}{route.path}")
    if role in SHARED:
        return Grant(f"-{role}-{method}-permission", f"{route.method}/*")
    return Grant(f"-{route.entity}-{method}-permission", f"{route.method}/*{route.entity}*")


def document(found: Iterable[Route], uris: Mapping[Route, str], auth: str) -> dict[str, Any]:
    """The API as API Gateway imports it: an OpenAPI 3.0 document with what answers each route.

    Records have no shape in it. API Gateway checks none, since the functions do, and refuses parts of JSON Schema.

    Args:
        uris: of each route's integration.
        auth: `AWS_IAM` or `NONE`.
    """
    operations: dict[str, dict[str, Any]] = {}
    for route in found:
        operations.setdefault(route.path, {})[route.method.lower()] = _operation(route, uris[route])
    return openapi.document(operations, auth, {})


def _operation(route: Route, uri: str) -> dict[str, Any]:
    parameters = openapi.parameters(route.path)
    return {
        **({"parameters": parameters} if parameters else {}),
        "responses": openapi.success(route.method),
        "x-amazon-apigateway-integration": {"type": "aws_proxy", "httpMethod": "POST", "uri": uri},
    }


def digest(text: str) -> str:
    """A short stand-in for a long text."""
    return hashlib.sha256(text.encode()).hexdigest()
