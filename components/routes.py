"""Which method of which path is answered by what. Plain values; nothing here needs an engine."""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

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

    @property
    def pattern(self) -> str:
        """The path in a permission's source ARN, which has `*` for a parameter."""
        return self.path.replace("{id}", "*")


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

    A function that serves all entities has one right per method, on every path: AWS keeps 20,480 bytes of policy for a
    function, and each further entity would take four statements. A function of one entity has its exact paths.
    """
    method = route.method.lower()
    if role in SHARED:
        return Grant(f"-{role}-{method}-permission", f"{route.method}/*")
    label = "-modern" if route.system == "public" else ""
    return Grant(f"{slug(route.path)}-{method}-permission{label}", f"{route.method}{route.pattern}")


def slug(path: str) -> str:
    """A path as part of a resource's name."""
    return path.replace("{id}", "id").replace("/", "-")


def fingerprint(found: Iterable[Route], auth: str) -> str:
    """Changes when the API must be deployed again."""
    text = json.dumps([auth, sorted(json.dumps(asdict(route), sort_keys=True) for route in found)])
    return digest(text)


def digest(text: str) -> str:
    """A short stand-in for a long text."""
    return hashlib.sha256(text.encode()).hexdigest()
