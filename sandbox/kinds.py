"""What stands in for AWS in a sandbox, and what runs its program. A sandbox keeps both while it is up."""

from __future__ import annotations

from enum import StrEnum
from typing import NoReturn, TypedDict, Unpack

from sandbox import state
from sandbox.database import product
from sandbox.database.product import Product
from sandbox.emulator.behaviour import data_api_traits, latency
from sandbox.emulator.behaviour.data_api_traits import Traits
from sandbox.emulator.behaviour.latency import Latency
from sandbox.errors import SandboxError
from sandbox.state import Folder


class Engine(StrEnum):
    """What runs the program: the sandbox's own engine, in Python, or Pulumi's."""

    IN_PROCESS = "in-process"
    PULUMI = "pulumi"


class Kinds(TypedDict, total=False):
    """What is asked of a sandbox to be brought up; without one of them it keeps what it has.

    Attributes:
        database: the product in Aurora's place.
        data_api: what the Data API refuses and leaves out.
        delays: how long AWS calls take.
        engine: what runs the program.
    """

    database: Product | None
    data_api: Traits | None
    delays: Latency | None
    engine: Engine | None


def chosen(folder: Folder, **asked: Unpack[Kinds]) -> dict[str, str]:
    """What a sandbox to be brought up gets, as its settings keep it.

    Raises:
        SandboxError: it is up with another.
    """
    return {
        "database": _database(folder, asked.get("database")),
        "data_api": data_api_traits.written(_traits(folder, asked.get("data_api"))),
        "latency": _latency(folder, asked.get("delays")),
        "engine": engine(folder, asked.get("engine")),
    }


def engine(folder: Folder, asked: Engine | None = None) -> Engine:
    """The engine that runs the program of a sandbox.

    Raises:
        SandboxError: it is up with another than the one asked for.
    """
    has: str | None = state.read_json(folder.settings).get("engine")
    if has is None or not folder.daemon():
        return asked or state.of_environment("STREAMBACK_ENGINE", Engine.IN_PROCESS)
    if asked and asked != has:
        _refuse(folder, f"was brought up with the engine {has}")
    return Engine(has)


def kept_traits(folder: Folder) -> str:
    """The Data API's traits that the sandbox was brought up with, as text; empty where there is none."""
    return state.read_json(folder.settings).get("data_api", "")


def _database(folder: Folder, asked: Product | None) -> Product:
    has = product.kept(folder)
    if asked and has and asked != has and folder.daemon():
        _refuse(folder, f"runs on {has.label}")
    return asked or has or product.default()


def _traits(folder: Folder, asked: Traits | None) -> Traits:
    text = kept_traits(folder)
    if asked is None:
        return data_api_traits.parse(text) if text else data_api_traits.default()
    if text and asked != data_api_traits.parse(text) and folder.daemon():
        _refuse(folder, f"has a Data API that is {text}")
    return asked


def _latency(folder: Folder, asked: Latency | None) -> Latency:
    has: str | None = state.read_json(folder.settings).get("latency")
    if asked is None:
        return Latency(has) if has else latency.default()
    if has and asked != has and folder.daemon():
        _refuse(folder, f"has the latency {has}")
    return asked


def _refuse(folder: Folder, has: str) -> NoReturn:
    down = f"`sandbox down{state.option(folder.name)}`"
    raise SandboxError(f"The sandbox {folder.name!r} {has}. To change that, take it down first with {down}.")
