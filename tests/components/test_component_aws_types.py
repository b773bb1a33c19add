"""What the program and the sandbox's handlers use is in pulumi-aws's own types: an upgrade that drops it fails here."""

from __future__ import annotations

import importlib
import inspect
import keyword
import typing
from enum import Enum
from itertools import chain

import pytest
from pulumi import _types
from pulumi_aws import lambda_, rds

from sandbox.engine import invokes, provider
from sandbox.engine.registry import TYPES

provider.load()
SHAPES = ('["legacy"]', '["legacy", "modern"]', '["legacy", "modern", "bridge"]')
UNLISTED = {"db.serverless"}  # AWS has these values, and pulumi-aws takes them as text


def module_of(token):
    """pulumi-aws's module of a type or a function, and the name in it."""
    _, module, name = token.split(":")
    package = module.split("/", maxsplit=1)[0]
    path = "" if package == "index" else f".{package}{'_' * keyword.iskeyword(package)}"
    return importlib.import_module(f"pulumi_aws{path}"), name


def inputs_of(token):
    """The class of a resource type's inputs; another has its name where a property of a resource is called so, too."""
    module, name = module_of(token)
    return getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args")


def required(kind):
    """The inputs without which a resource, or an object in one, cannot be made."""
    names = _types.input_type_py_to_pulumi_names(kind)
    parameters = inspect.signature(kind.__init__).parameters
    return {names[name] for name, each in parameters.items() if name in names and each.default is each.empty}


def problems(kind, value, path=""):
    """What about the value does not fit the type."""
    if isinstance(value, list):
        (item,) = typing.get_args(kind)
        return list(chain(*(problems(item, each, f"{path}[{number}]") for number, each in enumerate(value))))
    if isinstance(value, dict) and isinstance(kind, type) and _types.is_input_type(kind):
        return misfits(kind, value, path)
    if isinstance(value, str) and isinstance(kind, type) and issubclass(kind, Enum):
        return (
            []
            if value in {*UNLISTED, *(each.value for each in kind)}
            else [f"{path}: {value!r} is not in {kind.__name__}"]
        )
    options = typing.get_args(kind) if typing.get_origin(kind) is typing.Union else ()
    return list(chain(*(problems(each, value, path) for each in options if isinstance(each, type))))


def misfits(kind, value, path):
    """What about an object does not fit the class of its inputs."""
    types = _types.input_type_types(kind)
    unknown = [f"{path}.{name}: no such property" for name in value.keys() - types.keys()]
    missing = [f"{path}.{name}: is required" for name in required(kind) - value.keys()]
    below = (problems(types[name], each, f"{path}.{name}") for name, each in value.items() if name in types)
    return [*unknown, *missing, *chain(*below)]


@pytest.mark.parametrize("parts", SHAPES)
def test_every_input_of_the_program_fits(describe, parts):
    found = [each for each in describe(parts=parts).resources if each["type"].startswith("aws:")]
    assert found
    assert [each for one in found for each in misfits(inputs_of(one["type"]), one["inputs"], one["name"])] == []


@pytest.mark.parametrize("token", sorted(TYPES))
def test_every_property_of_a_handler_is_one_of_the_type(token):
    assert TYPES[token].properties - _types.input_type_types(inputs_of(token)).keys() == set()
    assert required(inputs_of(token)) <= TYPES[token].properties


@pytest.mark.parametrize("token", sorted(invokes.FUNCTIONS))
def test_every_function_of_the_provider_is_one_of_pulumi_aws(token):
    module, name = module_of(token)
    assert hasattr(module, f"{name[0].upper()}{name[1:]}Result")


def test_a_wrong_name_a_missing_input_and_a_wrong_value_are_found():
    function = {"role": "r", "runtime": "python0.1", "environment": {"variable": {}}, "vpcConfig": {"subnetIds": []}}
    assert set(misfits(lambda_.FunctionArgs, function, "f")) == {
        "f.environment.variable: no such property",
        "f.runtime: 'python0.1' is not in Runtime",
        "f.vpcConfig.securityGroupIds: is required",
    }
    assert misfits(rds.ClusterInstanceArgs, {"clusterIdentifier": "c", "engine": "oracle"}, "i") == [
        "i.instanceClass: is required",
        "i.engine: 'oracle' is not in EngineType",
    ]
