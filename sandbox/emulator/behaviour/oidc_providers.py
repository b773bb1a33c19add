"""Changes of an OIDC provider: its tags and its audiences.

MiniStack makes, shows and deletes such providers, and knows no call that changes one. This file can go when it does.
"""
# pyright: basic

from collections.abc import Callable, Mapping
from typing import Any, cast

from ministack.services import iam as service

from sandbox.emulator.patching import check_version

iam = cast("Any", service)  # MiniStack has no types


def install() -> None:
    check_version("behaviour/oidc_providers")
    for name, change in CHANGES.items():
        iam._IAM_HANDLERS[name] = _call(name, change)


def _call(name: str, change: Callable[[dict[str, Any], Any], None]) -> Callable[[Any], Any]:
    def answer(given: Any) -> Any:
        arn = iam._p(given, "OpenIDConnectProviderArn")
        found = iam._oidc_providers.get(arn)
        if found is None:
            return iam._error(404, "NoSuchEntity", f"OIDC provider {arn} not found.", ns="iam")
        change(found, given)
        return iam._xml(200, f"{name}Response", "", ns="iam")

    return answer


def _tag(provider: dict[str, Any], given: Any) -> None:
    tags = {each["Key"]: each for each in [*provider["Tags"], *iam._extract_tags(given)]}
    provider["Tags"] = list(tags.values())


def _untag(provider: dict[str, Any], given: Any) -> None:
    gone = iam._extract_tag_keys(given)
    provider["Tags"] = [each for each in provider["Tags"] if each["Key"] not in gone]


def _add(provider: dict[str, Any], given: Any) -> None:
    _remove(provider, given)
    provider["ClientIDList"].append(iam._p(given, "ClientID"))


def _remove(provider: dict[str, Any], given: Any) -> None:
    gone = iam._p(given, "ClientID")
    provider["ClientIDList"] = [each for each in provider["ClientIDList"] if each != gone]


CHANGES: Mapping[str, Callable[[dict[str, Any], Any], None]] = {
    "AddClientIDToOpenIDConnectProvider": _add,
    "RemoveClientIDFromOpenIDConnectProvider": _remove,
    "TagOpenIDConnectProvider": _tag,
    "UntagOpenIDConnectProvider": _untag,
}
