"""What the faults and the scenario of one run share: the sandbox, its clients, the diary of what happened."""

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import psutil

from functions.domain.entities import Entity
from runbook.aws.clients import Clients
from runbook.aws.outputs import EntityTarget, Target
from runbook.stack import resolve
from sandbox.chaos.swallowed import Disturbances
from sandbox.lifecycle import Sandbox
from sandbox.load import Attempt, Shape, shape_of

WORKER = "ministack-lambda-"  # in the command line of every worker, before its function's name


@dataclass
class Arena:
    """One sandbox in one run.

    Args:
        sandbox: it.
        name: the entity that moves.
        say: shows a line as it happens.
        fields: the text fields that clients write; all of the entity's when empty.
        made_by_legacy: whether a row of this key was made by legacy and by no writer of modern.
    """

    sandbox: Sandbox
    name: str
    say: Callable[[str], None]
    fields: Sequence[str] = ()
    made_by_legacy: Callable[[str], bool] = str.isdigit  # modern's own keys are UUIDs
    begun: float = field(default_factory=time.monotonic)
    diary: list[str] = field(default_factory=list[str])
    kills: list[float] = field(default_factory=list[float])
    pauses: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    outages: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    strays: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    closed: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    conflicting: list[Attempt] = field(default_factory=list["Attempt"])
    skewed: set[str] = field(default_factory=set[str])  # functions whose new workers have a wrong clock
    conflicts: int = 0  # items that were changed while legacy was the source of truth, or perhaps was
    problems: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.target: Target = resolve(outputs=self.sandbox.location.outputs)
        self.clients = Clients(self.target)
        self._lock = threading.Lock()

    def conflict(self, attempts: Sequence[Attempt]) -> None:
        """Note that items were changed while legacy was the source of truth, and by which calls."""
        with self._lock:
            self.conflicts += 1
            self.conflicting += attempts

    def redeployed(self) -> None:
        """Read the stack's outputs again."""
        self.target = resolve(outputs=self.sandbox.location.outputs)

    def shape(self, seed: int = 0) -> Shape:
        """How the records look that clients write."""
        return shape_of(self.target, self.name, seed, self.fields)

    @property
    def disturbances(self) -> Disturbances:
        """What adopted functions were exposed to."""
        return Disturbances(outages=self.outages, pauses=self.pauses, strays=self.strays, closed=self.closed)

    @property
    def entity(self) -> Entity:
        return self.target.mapping[self.name]

    @property
    def deployed(self) -> EntityTarget:
        return self.target.entity(self.name)

    def note(self, text: str) -> None:
        """Write a line into the diary and show it."""
        line = f"{time.monotonic() - self.begun:7.2f} s  {text}"
        with self._lock:
            self.diary.append(line)
        self.say(line)

    def problem(self, text: str) -> None:
        if text not in self.problems:
            self.problems.append(text)
            self.note(f"PROBLEM: {text}")

    def may_fail(self, seconds: float) -> None:
        """Note that calls of adopted functions may fail for so many seconds."""
        now = time.monotonic()
        self.outages.append((now, now + seconds))

    @staticmethod
    @contextlib.contextmanager
    def noted(windows: list[tuple[float, float]]) -> Generator[None]:
        """Note from when to when something was done as one of the windows."""
        begun = time.monotonic()
        try:
            yield
        finally:
            windows.append((begun, time.monotonic()))

    def workers(self, functions: frozenset[str] | None = None) -> list[psutil.Process]:
        served = self.sandbox.location.daemon()
        children = psutil.Process(served.pid).children(recursive=True) if served else []
        return [child for child in children if self._serves(child, functions)]

    @staticmethod
    def _serves(process: psutil.Process, functions: frozenset[str] | None) -> bool:
        try:
            folder = process.cwd()
        except psutil.Error:
            return False
        if functions is None:
            return WORKER in folder
        return any(f"{WORKER}{name}-" in folder for name in functions)
