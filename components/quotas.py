"""AWS's quotas that a stack can exceed, counted before the program makes anything: AWS would refuse it half-way."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from components.routes import paths, routes

if TYPE_CHECKING:
    from components.settings import Settings

DOCS = "https://docs.aws.amazon.com"
# "Quotas for configuring and running a REST API in API Gateway": AWS raises the first on request, not the second
REST_APIS = f"{DOCS}/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html"
API_RESOURCES = 300
STAGE_VARIABLES = 100
# "Lambda quotas": of all variables of a function together; AWS does not raise it
LAMBDA = f"{DOCS}/lambda/latest/dg/gettingstarted-limits.html"
ENVIRONMENT_BYTES = 4096
OTHER_BYTES = 1024  # at most, of the variables that do not grow with the entities: ARNs, names of tables, Powertools'
FUNCTION_NAMES = f"{DOCS}/lambda/latest/api/API_CreateFunction.html"
SUFFIX = "-0123456"  # what Pulumi appends to a name
LONGEST_NAME = 64 - len(SUFFIX)  # of functions and roles
# "General purpose bucket naming rules": 63 characters for streamback-STACK-bridge-failures-bucket and Pulumi's suffix
BUCKETS = f"{DOCS}/AmazonS3/latest/userguide/bucketnamingrules.html"
STACK_CHARACTERS = 20
# "IAM and AWS STS quotas": of all policies of a role together, without white space; AWS does not raise it
IAM = f"{DOCS}/IAM/latest/UserGuide/reference_iam-quotas.html"
ROLE_CHARACTERS = 10_240
OTHER_CHARACTERS = 2048  # at most, of the rights of the function that checks adopted systems, beside those that grow
ARN_CHARACTERS = 64  # at most, of the ARN of a function or table without its name, with quotes and comma
STACK = re.compile(r"[a-z](-?[a-z0-9])*")  # two hyphens, or one at the end, are no name of a database cluster


def problems(settings: Settings, stack: str) -> list[str]:
    """What does not fit, one line each, with the number, the quota, AWS's page and the remedy.

    Args:
        stack: the Pulumi stack's name.
    """
    found = [*_stack(stack), *_names(settings, stack), *_api(settings), *_environments(settings, stack)]
    return [*found, *_adopted(settings)]


def _stack(stack: str) -> list[str]:
    if len(stack) <= STACK_CHARACTERS and STACK.fullmatch(stack):
        return []
    problem = (
        f"the stack's name: expected at most {STACK_CHARACTERS} characters, lower case letters, digits and single "
        f"hyphens, beginning with a letter; got {stack!r}, {len(stack)} characters. A bucket's and a database "
        f"cluster's name contain it ({BUCKETS}); use another with `pulumi stack init NAME`"
    )
    return [problem]


def _names(settings: Settings, stack: str) -> list[str]:
    found: list[str] = []
    for entity in settings.entities:
        last = f"bridge-{entity}-writer" if "bridge" in settings.parts else f"modern-{entity}-write"
        name = f"streamback-{stack}-{last}"
        if "modern" in settings.parts and len(name) > LONGEST_NAME:
            found.append(
                f"streamback:entitiesFile: expected at most {LONGEST_NAME} characters for the function {name}, got "
                f"{len(name)}: AWS allows 64 ({FUNCTION_NAMES}), and Pulumi appends {len(SUFFIX)}; shorten the name of "
                "the entity, or of the stack"
            )
    return found


def _api(settings: Settings) -> list[str]:
    count, found = len(settings.entities), list[str]()
    resources = len(paths(routes(settings.entities, settings.parts))) + 1  # the root
    if resources > settings.api_resources_quota:
        found.append(
            f"streamback:entitiesFile: expected at most {settings.api_resources_quota} resources in the REST API, got "
            f"{resources} for {count} entities ({REST_APIS}); take entities out, or let AWS raise the quota and set "
            "`pulumi config set streamback:apiResourcesQuota N`"
        )
    if 2 * count > STAGE_VARIABLES:
        found.append(
            f"streamback:entitiesFile: expected at most {STAGE_VARIABLES} stage variables, got {2 * count} for {count} "
            f"entities, two for each ({REST_APIS}); AWS does not raise this quota: deploy a second stack for some"
        )
    return found


def _environments(settings: Settings, stack: str) -> list[str]:
    """Two functions serve all entities, and their environment names something of each."""
    if "bridge" not in settings.parts:
        return []
    tables = {name: f"{settings.table_prefix}{each.modern.table}" for name, each in settings.entities.items()}
    writers = {name: f"streamback-{stack}-modern-{name}-write{SUFFIX}" for name in settings.entities}
    found = [
        *_environment(f"streamback-{stack}-copy-worker", tables),
        *_environment(f"streamback-{stack}-gate-writes", writers),
    ]
    return [f"streamback:entitiesFile: {problem}" for problem in found]


def _environment(function: str, named: Mapping[str, str]) -> list[str]:
    size = len(json.dumps(named).encode()) + OTHER_BYTES
    if size <= ENVIRONMENT_BYTES:
        return []
    problem = (
        f"expected at most {ENVIRONMENT_BYTES:,} bytes in the environment of the function {function}, got up to "
        f"{size:,} for {len(named)} entities ({LAMBDA}); AWS does not raise this quota: shorten names, or deploy a "
        "second stack for some entities"
    )
    return [problem]


def _adopted(settings: Settings) -> list[str]:
    """One function looks at all that is adopted, and its role names each function and table."""
    tables = [each.table for each in settings.adopt.entities.values() if each.table]
    named = [*tables, *(settings.adopt.functions if settings.adopt.api else [])]
    size = OTHER_CHARACTERS + sum(ARN_CHARACTERS + len(name) for name in named)
    if not settings.adopted_check_minutes or size <= ROLE_CHARACTERS:
        return []
    problem = (
        f"expected at most {ROLE_CHARACTERS:,} characters in the policies of the function that checks what is adopted, "
        f"got up to {size:,} for {len(named)} functions and tables ({IAM}); AWS does not raise this quota: deploy a "
        "second stack for some entities, or none of this function: `pulumi config set streamback:adoptedCheckMinutes 0`"
    )
    return [f"streamback:adopt: {problem}"]
