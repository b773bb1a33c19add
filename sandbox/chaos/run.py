"""One run: a fresh sandbox, rows, clients, the scenario with its faults, and the verdict."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox import lifecycle, logs
from sandbox.chaos import checker, final_state
from sandbox.chaos.checker import Found, Violation
from sandbox.chaos.commands import Runbook, StuckError
from sandbox.chaos.faults import Nemesis
from sandbox.chaos.poison import Poison
from sandbox.chaos.scenario import Stretch, comparison, completion, stretches
from sandbox.chaos.system import Arena
from sandbox.load import History, Load, Waits, shape_of

ENTITY = "chefs"
LOG_LINES = 100_000  # of the functions, kept of a run that went wrong
FEW_READS = 5.0  # a second, while `complete` runs


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How big a run is.

    Args:
        seed: of clients and faults.
        name: the sandbox's.
        rows: in Aurora before the first copy.
        writes, reads: a second.
        poison: whether a record is poisoned on the way.
        brief: whether to end after the first rollback.
        entity: what moves.
    """

    seed: int
    name: str = "chaos"
    rows: int = 300
    writes: float = 20.0
    reads: float = 40.0
    poison: bool = True
    brief: bool = False
    entity: str = ENTITY


@dataclass
class Verdict:
    seed: int
    violations: Sequence[Violation] = ()
    problems: Sequence[str] = ()
    diary: Sequence[str] = ()
    injected: Mapping[str, int] = field(default_factory=dict[str, int])
    switches: Sequence[tuple[str, Waits]] = ()
    history: History = field(default_factory=lambda: History(()))
    seconds: float = 0.0
    tries: int = 0
    source: Sequence[Found] = ()
    other: Sequence[Found] = ()
    evidence: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def held(self) -> bool:
        return not self.violations and not self.problems


class Run:
    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._injected: Counter[str] = Counter()
        self._strict: list[tuple[float, float]] = []
        self._strict_since: float | None = None
        self._switches: list[tuple[str, float, float]] = []
        self._before: dict[str, str] = {}
        self._history = History(())
        self._sides: tuple[list[Found], list[Found]] = ([], [])

    def go(self) -> Verdict:
        """The whole run. The sandbox is left up, so that a broken promise can be looked into."""
        lifecycle.down(self._settings.name)
        sandbox = lifecycle.up(self._settings.name, current=False)
        self._arena = Arena(sandbox, self._settings.entity, self._say)
        self._runbook = Runbook(self._arena)
        self._shape = shape_of(self._arena.target, self._settings.entity, self._settings.seed)
        try:
            definition = self._prepare()
            self._under_load()
            if not self._settings.brief:
                self._complete(definition)
        except (StuckError, TimeoutError) as error:
            self._arena.problem(str(error))
        return self._verdict()

    def _prepare(self) -> str:
        """Tables and rows that were there before anybody thought of moving; returns the table's definition."""
        self._arena.clients.functions.invoke(
            FunctionName=self._arena.target.legacy_init_function, Payload=b'{"httpMethod": "GET", "path": "/aurora"}'
        )
        definition = final_state.definition(self._arena)
        self._before = final_state.seed(self._arena, self._shape, self._settings.rows)
        return definition

    def _under_load(self) -> None:
        settings = self._settings
        keys = list(self._before)
        load = Load(self._arena.target, settings.entity, settings.writes, settings.reads, settings.seed, keys).start()
        self._strict_since = time.monotonic()
        try:
            for number, stretch in enumerate(stretches(settings.entity, brief=settings.brief)):
                self._play(stretch, number)
                if stretch.name == "cutover writes" and settings.poison and "poison" not in self._injected:
                    self._poison()
            self._read_a_moment()
        finally:
            self._history = load.stop()
        self._compare()

    def _play(self, stretch: Stretch, number: int) -> None:
        begun = time.monotonic()
        self._arena.note(f"{stretch.name}")
        if not stretch.strict:
            self._loosen(begun)
        seed = f"{self._settings.seed}/{number}"
        with Nemesis(self._arena, self._runbook, stretch, seed, self._injected):
            self._runbook.until_done(stretch.words)
        ended = time.monotonic()
        if stretch.switch:
            self._switches.append((stretch.name, begun, ended))
        if stretch.strict and self._strict_since is None:
            self._strict_since = ended

    def _loosen(self, moment: float) -> None:
        """From now on reads may lag behind writes."""
        if self._strict_since is not None:
            self._strict.append((self._strict_since, moment))
            self._strict_since = None

    def _read_a_moment(self) -> None:
        time.sleep(0.5)  # some reads from where all is modern
        self._loosen(time.monotonic())

    def _poison(self) -> None:
        self._injected["poison"] += 1
        rng = random.Random(f"{self._settings.seed}/poison")  # noqa: S311  # repeatable
        self._before |= Poison(self._arena, self._runbook, self._shape, rng).cure()

    def _compare(self) -> None:
        """No client writes any more: what both sides hold when they say that they are equal."""
        self._runbook.until_done(comparison(self._settings.entity).words)
        modern, legacy = final_state.modern(self._arena, self._shape), final_state.legacy(self._arena, self._shape)
        self._sides = (legacy, modern) if self._settings.brief else (modern, legacy)  # the truth first

    def _complete(self, definition: str) -> None:
        """`complete` runs under reads, which must not fail."""
        load = Load(self._arena.target, self._settings.entity, 0, FEW_READS, self._settings.seed + 1).start()
        try:
            self._play(completion(self._settings.entity), 99)
        finally:
            history = load.stop()
        for attempt in history.failures:
            self._arena.problem(f"a read failed during complete: {attempt}")
        found = final_state.definition(self._arena)
        if found != definition:
            self._arena.problem(f"the legacy table was\n{definition}\nand is after complete\n{found}")

    def _verdict(self) -> Verdict:
        history, (source, other) = self._history, self._sides
        story = checker.Story(
            before=self._before,
            attempts=history.attempts,
            source=source,
            other=other,
            strict=self._strict,
            kills=self._arena.kills,
        )
        violations = checker.check(story) if source or other else ()
        return Verdict(
            seed=self._settings.seed,
            violations=violations,
            problems=self._arena.problems,
            diary=self._arena.diary,
            injected=self._injected,
            switches=[(name, history.waits(begun, ended)) for name, begun, ended in self._switches],
            history=history,
            seconds=time.monotonic() - self._arena.begun,
            tries=self._runbook.tries,
            source=source,
            other=other,
            evidence=self._evidence() if violations or self._arena.problems else {},
        )

    def _evidence(self) -> dict[str, str]:
        """What the runbook and the functions say about a run that went wrong, by the name of a file."""
        this = ("--entity", self._settings.entity, "--json")
        asked = {"status": ("status", *this), "quarantine": ("quarantine", "list", *this)}
        asked |= {"journal": ("history", *this, "--limit", "200"), "verify": ("verify", *this)}
        said = {f"{name}.json": self._runbook.once(words).out for name, words in asked.items()}
        lines = logs.Logs(lifecycle.find(self._settings.name), "").last(LOG_LINES)
        return said | {"functions.log": "\n".join(map(str, lines))}
