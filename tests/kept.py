"""What boto3 and Typer make anew for each client, request and command, made once: it is the same every time.

Each command of a test makes its own clients, as an operator's command does; so a client takes half the time to make.
What is kept depends on nothing but the arguments. Clients, their events, connections and retries are never shared.
"""

from __future__ import annotations

import functools
from typing import Any

import botocore.session
import typer.testing
from botocore import client, hooks, httpsession, regions
from botocore.hooks import EventAliaser, NodeList
from botocore.useragent import UserAgentString

_stock_class = client.ClientCreator._create_client_class
_stock_provider = regions.EndpointProvider
_stock_alias = EventAliaser._alias_event_name
_accepts = functools.cache(hooks.accepts_kwargs)
_classes: dict[str, type] = {}
_names: dict[str, str] = {}
_providers: dict[str, Any] = {}


def install() -> None:
    """Patch both libraries, in this process."""
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    UserAgentString.to_string = functools.cache(UserAgentString.to_string)
    hooks.accepts_kwargs = lambda handler: _accepts(getattr(handler, "__func__", handler))
    EventAliaser._alias_event_name = _alias
    hooks._PrefixTrie._recursive_copy = lambda _, attributes: {"_root": _copied(attributes["_root"])}
    client.ClientCreator._create_client_class = _class
    regions.EndpointProvider = _provider
    httpsession.create_urllib3_context = functools.cache(httpsession.create_urllib3_context)
    typer.testing._get_command = functools.cache(typer.testing._get_command)


def _alias(aliaser: EventAliaser, name: str) -> str:
    if name not in _names:
        _names[name] = _stock_alias(aliaser, name)
    return _names[name]


def _copied(node: dict[str, Any]) -> dict[str, Any]:
    """A node of boto3's handlers by event, and those below it."""
    values = node["values"]
    return {
        "chunk": node["chunk"],
        "children": {name: _copied(child) for name, child in node["children"].items()},
        "values": values and NodeList(*(list(part) for part in values)),
    }


def _class(creator: client.ClientCreator, service: str, model: Any) -> type:
    if service not in _classes:
        _classes[service] = _stock_class(creator, service, model)
    return _classes[service]


def _provider(ruleset_data: Any, partition_data: Any, excluded_params: Any = None) -> Any:
    key = f"{id(ruleset_data)} {id(partition_data)} {excluded_params}"  # the loader keeps both
    if key not in _providers:
        _providers[key] = _stock_provider(ruleset_data, partition_data, excluded_params)
    return _providers[key]
