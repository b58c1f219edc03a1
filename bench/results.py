"""What a run found, as values that go into the results file. Pure."""

from statistics import median

import msgspec

from bench.jobs.results import JobsRow
from bench.machine import Machine
from bench.measure import Slope
from bench.payload import EVENTS
from bench.scenarios import Plan, Scenario
from bench.spec import Outcome
from bench.verdicts import Verdict


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario of one gateway in one round."""

    scenario: Scenario
    round: int
    outcome: Outcome
    cpu_s: float

    @property
    def good(self) -> bool:
        """Tell whether at least 99 % of the answers were right."""
        return self.outcome.requests > 0 and self.outcome.errors <= self.outcome.requests / 100

    @property
    def cpu_us(self) -> float:
        """CPU microseconds per request, or per event of a stream."""
        units = self.outcome.requests * (EVENTS if self.scenario.startswith("stream") else 1)
        return 1e6 * self.cpu_s / units if units else 0.0


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Resident memory (MB) over requests on a fresh process."""

    samples: list[tuple[int, float]]
    slope: Slope
    errors: int


class Row(msgspec.Struct, kw_only=True):
    """One gateway: filled in as the run goes on."""

    name: str
    version: str = ""
    missing: str | None = None
    cold_starts_s: list[float] = []
    idle_mb: float | None = None
    after_mb: float | None = None
    samples: list[Sample] = []
    memory: Memory | None = None

    def of(self, scenario: Scenario) -> list[Sample]:
        """Return its good samples of a scenario, in order of rounds: quick refusals must not pass for speed."""
        return [sample for sample in self.samples if sample.scenario == scenario and sample.good]

    def cpu_us(self, scenario: Scenario) -> float | None:
        """Return the median CPU per request or event."""
        return middle([sample.cpu_us for sample in self.of(scenario)])

    def seen(self, scenario: Scenario, field: str) -> float | None:
        """Return the median of a field of the outcome."""
        return middle([float(getattr(sample.outcome, field)) for sample in self.of(scenario)])

    @property
    def errors(self) -> int:
        """Errors in every sample together."""
        return sum(sample.outcome.errors for sample in self.samples) + (self.memory.errors if self.memory else 0)

    @property
    def requests(self) -> int:
        """Answers in every sample together."""
        return sum(sample.outcome.requests for sample in self.samples)

    @property
    def reasons(self) -> list[str]:
        """What was wrong with answers, each said once."""
        return sorted({reason for sample in self.samples for reason in sample.outcome.reasons})


class Results(msgspec.Struct, kw_only=True):
    """A whole run."""

    when: str
    took_s: float
    machine: Machine
    plan: Plan
    rows: list[Row]
    jobs: list[JobsRow] = []
    verdicts: list[Verdict] = []

    def row(self, name: str) -> Row | None:
        """Return a gateway's row, if it was measured."""
        return next((row for row in self.rows if row.name == name and row.missing is None), None)


def middle(values: list[float]) -> float | None:
    """Return the median, or None of nothing."""
    return median(values) if values else None


def ratio(
    one: Row | None, scenario: Scenario, other: Row | None, other_scenario: Scenario | None = None
) -> float | None:
    """Return how many times the CPU of `other` that `one` costs: the median of the ratios within each round.

    Rounds are interleaved, so both sides of a ratio saw the same noise.
    """
    if one is None or other is None:
        return None
    base = {sample.round: sample.cpu_us for sample in other.of(other_scenario or scenario)}
    return middle([s.cpu_us / base[s.round] for s in one.of(scenario) if base.get(s.round)])


def added_ms(row: Row | None, direct: Row | None, scenario: Scenario, field: str) -> float | None:
    """Return the milliseconds that a gateway adds to the mock's own, as the median over rounds."""
    if row is None or direct is None:
        return None
    base = {s.round: float(getattr(s.outcome, field)) for s in direct.of(scenario)}
    return middle([getattr(s.outcome, field) - base[s.round] for s in row.of(scenario) if s.round in base])
