"""Resource-based policies of tables: they decide on calls, some time after they were put, and change seldom.

On AWS an explicit Deny in a table's policy refuses a call, by whatever operation it comes: a transaction counts as its
single writes, a PartiQL statement as `dynamodb:PartiQLInsert`, `PartiQLUpdate`, `PartiQLDelete` or `PartiQLSelect`.
Policies are eventually consistent, for GetResourcePolicy and for calls. After a change the next one is refused for 15
seconds. The same policy put again keeps its revision. `aws:PrincipalArn` of a role's session is the role's ARN.
MiniStack keeps policies and asks none of them. What AWS does not say is how long a policy takes, and with which error
an early change is refused: APPLIES_SECONDS and ResourceInUseException are this file's choice.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/rbac-considerations.html
A POST to PATH takes {"applies": seconds, "blocked": seconds} for tests, and ends the waits that are under way. This
file can go when MiniStack does all that.
"""
# pyright: basic

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from ministack.core import iam_actions, iam_evaluator
from ministack.services import dynamodb as service
from ministack.services import iam as service_of_roles

from sandbox.emulator.patching import check_version, wrap

dynamodb, evaluator, iam = cast("Any", service), cast("Any", iam_evaluator), cast("Any", service_of_roles)  # no types

PATH = "/_streamback/table_policies"
APPLIES_SECONDS = 1.0  # from a change until it is seen and decides
BLOCKED_SECONDS = 15.0  # from a change until the next one may come
LOOKUP = "table_policy_for_arn"  # by this name the evaluator finds it in the service's module
PARTIQL = ("dynamodb:ExecuteStatement", "dynamodb:BatchExecuteStatement", "dynamodb:ExecuteTransaction")
SESSION = ":assumed-role/"

Scope = dict[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


class _Changes:
    """When each policy was changed, and what was there before."""

    def __init__(self) -> None:
        self.applies, self.blocked = APPLIES_SECONDS, BLOCKED_SECONDS
        self._last: dict[str, tuple[float, float, Any]] = {}  # until when the one before decides, and blocks

    def set(self, applies: float, blocked: float) -> None:
        self.applies, self.blocked = applies, blocked
        self._last.clear()

    def note(self, arn: str, before: Any) -> None:
        now = time.monotonic()
        self._last[arn] = now + self.applies, now + self.blocked, before

    def blocks(self, arn: str) -> bool:
        return arn in self._last and time.monotonic() < self._last[arn][1]

    def seen(self, arn: str, now: Any) -> Any:
        """The policy as calls see it; `now` is the one that is kept."""
        until, _, before = self._last.get(arn, (0.0, 0.0, None))
        return before if time.monotonic() < until else now


_changes = _Changes()


def install() -> None:
    check_version("behaviour/table_policies")
    for name in ("_put_resource_policy", "_delete_resource_policy"):
        wrap(dynamodb, name, _changing)
    wrap(dynamodb, "_get_resource_policy", _late)
    vars(dynamodb)[LOOKUP] = _decides
    evaluator._RESOURCE_POLICY_LOOKUPS["dynamodb"] = ("dynamodb", LOOKUP)
    wrap(evaluator, "_resolve_condition_key", _naming_roles)
    wrap(iam_actions, "dynamodb_transaction_checks", _with_partiql)
    wrap(iam_actions, "dynamodb_resource_arns", _with_named_resource)


def wrapped(application: Application) -> Any:
    """The ASGI application with PATH in front of it."""

    async def serve(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != PATH:
            await application(scope, receive, send)
            return
        wanted = json.loads((await receive())["body"])
        _changes.set(float(wanted["applies"]), float(wanted["blocked"]))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return serve


def _changing(stock: Any) -> Any:
    def change(data: Mapping[str, Any]) -> Any:
        arn = data.get("ResourceArn", "")
        before = dynamodb._resource_policies.get(arn)
        if before and data.get("Policy") == before["Policy"] and data.get("ExpectedRevisionId") in _own(before):
            return dynamodb.json_response({"RevisionId": before["RevisionId"]})
        if _changes.blocks(arn):
            message = f"The resource policy of {arn} was changed a moment ago"
            return dynamodb.error_response_json("ResourceInUseException", message, 400)
        answer = stock(data)
        if dynamodb._resource_policies.get(arn) != before:
            _changes.note(arn, before)
        return answer

    return change


def _own(policy: Mapping[str, Any]) -> tuple[Any, ...]:
    return None, policy["RevisionId"]


def _late(stock: Any) -> Any:
    def get(data: Mapping[str, Any]) -> Any:
        arn = data.get("ResourceArn", "")
        kept = dynamodb._resource_policies.get(arn)
        seen = _changes.seen(arn, kept)
        if seen == kept:
            return stock(data)
        if seen is None:
            message = f"No resource-based policy found for resource {arn}"
            return dynamodb.error_response_json("PolicyNotFoundException", message, 400)
        return dynamodb.json_response(dict(seen))

    return get


def _decides(arn: str) -> tuple[Any, str] | None:
    """The policy that decides on a call to a table or its index, and the account that owns it."""
    table = arn.partition("/index/")[0]
    policy = _changes.seen(table, dynamodb._resource_policies.get(table))
    return (policy["Policy"], table.split(":")[4]) if policy else None


def _naming_roles(stock: Any) -> Any:
    def value(key: str, context: Any) -> Any:
        found = stock(key, context)
        if key.lower() != "aws:principalarn" or SESSION not in str(found):
            return found
        role = iam._roles.get_scoped(context.principal_account, None, found.partition(SESSION)[2].partition("/")[0])
        return role["Arn"] if role else found

    return value


def _with_partiql(stock: Any) -> Any:
    def checks(action: str, body: bytes, region: str, account: str) -> list[tuple[str, str]]:
        if action not in PARTIQL:
            return stock(action, body, region, account)
        try:
            parsed = [_parsed(each) for each in _statements(json.loads(body or b"{}"))]
        except (ValueError, TypeError):
            return []  # the operation refuses it
        return [
            (f"dynamodb:PartiQL{each['op'].capitalize()}", f"arn:aws:dynamodb:{region}:{account}:table/{each['table']}")
            for each in parsed
            if each.get("table")
        ]

    return checks


def _with_named_resource(stock: Any) -> Any:
    """The right to read or change a policy holds for a table; stock takes it for one of all tables."""

    def arns(body: bytes, region: str, account: str) -> list[str]:
        found = stock(body, region, account)
        try:
            named = json.loads(body or b"{}").get("ResourceArn")
        except (ValueError, AttributeError):
            return found
        return found or ([named] if isinstance(named, str) else [])

    return arns


def _statements(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return data.get("Statements") or data.get("TransactStatements") or [data]


def _parsed(statement: Mapping[str, Any]) -> dict[str, Any]:
    return dynamodb._parse_partiql(statement.get("Statement", ""), statement.get("Parameters", []))
