"""One run: a fresh sandbox, rows, clients, the scenario with its faults, and the verdict."""

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from functions.domain.phase import Phase
from sandbox import lifecycle, logs
from sandbox.chaos import checker, final_state
from sandbox.chaos.checker import Found, Violation
from sandbox.chaos.commands import Runbook, StuckError
from sandbox.chaos.cure import cure
from sandbox.chaos.faults import calls, emulator
from sandbox.chaos.foreign.client import ForeignClient, once, phase
from sandbox.chaos.migrated import Migrated, OwnChefs
from sandbox.chaos.mutations import Mutation, apply
from sandbox.chaos.nemesis import Nemesis
from sandbox.chaos.poison import Poison
from sandbox.chaos.scenario import Stretch, Variant, comparison
from sandbox.chaos.swallowed import without
from sandbox.chaos.watch import Watch
from sandbox.emulator.behaviour.skewed_clock import PATH as CLOCK
from sandbox.load import Attempt, History, Load, Waits
from sandbox.state import PROJECT

LOG_LINES = 100_000  # of the functions, kept of a run that went wrong
FOREIGN = 10  # one in so many of the first rows is written by the foreign client only
COMPLETION = 99  # the number of the first stretch of it
FEW_READS = 5.0  # a second, while `complete` runs


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How big a run is.

    Args:
        seed: of clients and faults.
        name: the sandbox's.
        rows: in Aurora before the first copy.
        writes, reads: a second; what the system can serve when 0.
        poison: whether a record is poisoned on the way.
        brief: whether to end after the first rollback.
        migrated: what moves.
        mutation: a cure that is switched off in what is deployed; None for the product as it is.
        cured: the scenario is the mutation's, and the product is as it is.
    """

    seed: int
    name: str = "chaos"
    rows: int = 300
    writes: float = 0.0
    reads: float = 0.0
    poison: bool = True
    brief: bool = False
    migrated: Migrated = field(default_factory=OwnChefs)
    mutation: Mutation | None = None
    cured: bool = False

    @property
    def variant(self) -> Variant:
        """What the scenario has, as the seed or the mutation wants it."""
        drawn = Variant() if self.brief else Variant.of(self.seed)
        return self.mutation.variant(drawn) if self.mutation else drawn


@dataclass
class Verdict:
    seed: int
    violations: Sequence[Violation] = ()
    problems: Sequence[str] = ()
    diary: Sequence[str] = ()
    injected: Mapping[str, int] = field(default_factory=dict[str, int])
    switches: Sequence[tuple[str, Waits]] = ()
    history: History = field(default_factory=lambda: History(()))
    foreign: Sequence[Attempt] = ()
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
        self._migrated = settings.migrated
        self._say = say
        self._injected: Counter[str] = Counter()
        self._strict: list[tuple[float, float]] = []
        self._strict_since: float | None = None
        self._switches: list[tuple[str, float, float]] = []
        self._before: dict[str, str] = {}
        self._history = History(())
        self._foreign: Sequence[Attempt] = ()
        self._sides: tuple[list[Found], list[Found]] = ([], [])
        self._compared = False

    def go(self) -> Verdict:
        """The whole run. The sandbox is left up, so that a broken promise can be looked into."""
        if self._settings.mutation is None or self._settings.cured:
            return self._run(PROJECT)
        with tempfile.TemporaryDirectory(prefix="streamback-mutated-") as folder:
            apply(self._settings.mutation, Path(folder))
            return self._run(Path(folder))

    def _run(self, program: Path) -> Verdict:
        lifecycle.down(self._settings.name)
        sandbox = self._migrated.bring_up(self._settings.name, self._settings.rows, program, self._settings.seed)
        self._arena = self._migrated.arena(sandbox, self._say)
        self._runbook = Runbook(self._arena, program)
        self._shape = self._arena.shape(self._settings.seed)
        try:
            self._before = self._migrated.prepare(self._arena, self._settings.rows)
            self._under_load()
            if not self._settings.brief:
                self._complete()
        except (StuckError, TimeoutError) as error:
            self._arena.problem(str(error))
            self._look()
        return self._verdict()

    def _under_load(self) -> None:
        settings = self._settings
        keys = list(self._before)
        watch = Watch(self._arena).start()
        foreign = ForeignClient(self._arena, self._shape, keys[::FOREIGN], settings.seed).start()
        self._foreign = foreign.attempts
        keys = [key for number, key in enumerate(keys) if number % FOREIGN]
        writes, reads = settings.writes or self._migrated.writes, settings.reads or self._migrated.reads
        load = self._load(writes, reads, settings.seed, keys)
        self._strict_since = time.monotonic()
        planned = self._migrated.stretches(settings.seed, settings.variant, brief=settings.brief)
        try:
            for number, stretch in enumerate(planned):
                self._play(stretch, number)
                self._look_at_foreign()
                if stretch.name == "cutover writes" and settings.poison and "poison" not in self._injected:
                    self._poison()
            self._read_a_moment()
            calls.await_late(self._arena)  # while the clients still write, since what comes late may hit them
        finally:
            watch.stop()
            self._foreign = [*foreign.stop(), *self._arena.conflicting]
            self._history = self._judged(load.stop())
        self._compare()

    def _load(self, writes: float, reads: float, seed: int, keys: Sequence[str] = ()) -> Load:
        arena = self._arena
        return Load(arena.target, arena.name, writes, reads, seed, keys, arena.fields).start()

    def _judged(self, history: History) -> History:
        return History(self._migrated.judged(history.attempts, self._arena), history.marks)

    def _play(self, stretch: Stretch, number: int) -> None:
        begun = time.monotonic()
        self._arena.note(f"{stretch.name}")
        if not stretch.strict:
            self._loosen(begun)
        self._right_clocks()
        seed = f"{self._settings.seed}/{number}"
        with Nemesis(self._arena, self._runbook, stretch, seed, self._injected):
            self._runbook.until_done(stretch.words)
        if stretch.cures:
            cure(self._arena, self._runbook)
        if stretch.then:
            self._migrated.act(stretch.then, self._arena)
        ended = time.monotonic()
        if stretch.switch:
            self._switches.append((stretch.name, begun, ended))
        if stretch.strict and self._strict_since is None:
            self._strict_since = ended

    def _look_at_foreign(self) -> None:
        """What foreign writers were answered and read so far, always from the source of truth itself.

        Raises:
            StuckError: a promise to them is broken, so there is no need to continue.
        """
        attempts, always = list(self._foreign), [(0.0, float("inf"))]
        story = checker.Story(before=self._before, attempts=attempts, source=(), other=(), strict=always, ended=False)
        if found := checker.check(story):
            raise StuckError(str(found[0]))

    def _right_clocks(self) -> None:
        """Each stretch begins with right clocks, but for the workers that run already."""
        self._runbook.skew = 0.0
        for function in self._arena.skewed:
            emulator.ask(self._arena, CLOCK, {"function": function, "seconds": 0.0})
        self._arena.skewed.clear()

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
        self._runbook.until_done(comparison(self._arena.name).words)
        self._compared = True
        modern, legacy = final_state.modern(self._arena, self._shape), final_state.legacy(self._arena, self._shape)
        self._sides = (legacy, modern) if self._settings.brief else (modern, legacy)  # the truth first

    def _look(self) -> None:
        """After a command that did not end well: what the source of truth holds, which may be ahead of the other."""
        if self._compared or not self._history.attempts:
            return
        now = phase(self._arena, once(self._arena))
        sides = {Phase.MODERN: final_state.modern, Phase.LEGACY: final_state.legacy}
        if now in sides:
            found = sides[Phase(now)](self._arena, self._shape)
            self._sides = (found, found)

    def _complete(self) -> None:
        """`complete`, and what is undone after it, under reads, which must not fail."""
        load = self._load(0, FEW_READS, self._settings.seed + 1)
        try:
            for number, stretch in enumerate(self._migrated.completion(), COMPLETION):
                self._play(stretch, number)
        finally:
            history = self._judged(load.stop())
        for attempt in history.failures:
            self._arena.problem(f"a read failed during complete: {attempt}")
        self._migrated.compare(self._arena)

    def _verdict(self) -> Verdict:
        history, (source, other) = self._history, self._sides
        story = checker.Story(
            before=self._before,
            attempts=[*history.attempts, *self._foreign],
            source=source,
            other=other,
            strict=without(self._strict, self._arena.strays),
            kills=self._arena.kills,
            pauses=self._arena.pauses,
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
            foreign=self._foreign,
            seconds=time.monotonic() - self._arena.begun,
            tries=self._runbook.tries,
            source=source,
            other=other,
            evidence=self._evidence() if violations or self._arena.problems else {},
        )

    def _evidence(self) -> dict[str, str]:
        """What the runbook and the functions say about a run that went wrong, by the name of a file."""
        this = ("--entity", self._arena.name, "--json")
        asked = {"status": ("status", *this), "quarantine": ("quarantine", "list", *this)}
        asked |= {"journal": ("history", *this, "--limit", "200"), "verify": ("verify", *this)}
        said = {f"{name}.json": self._runbook.once(words).out for name, words in asked.items()}
        lines = logs.Logs(lifecycle.find(self._settings.name), "").last(LOG_LINES)
        return said | {"functions.log": "\n".join(map(str, lines))}
