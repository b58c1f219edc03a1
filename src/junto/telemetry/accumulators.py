"""What is counted while traffic flows: plain integers, read when somebody scrapes. Knows nothing of Prometheus."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

# Upper bounds, milliseconds.
DURATION_BOUNDS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000)
TTFT_BOUNDS = (10, 25, 50, 100, 200, 300, 500, 750, 1000, 2000, 3000, 5000, 10_000, 30_000, 60_000, 120_000)


class Histogram:
    """Counts of values up to each bound, inclusive, and beyond the last; milliseconds."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[int, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0

    def observe(self, milliseconds: int) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, milliseconds)] += 1
        self.total += milliseconds


@dataclass(slots=True)
class Served:
    """What one deployment did since the start. Both names are empty for exchanges that nobody answered."""

    backend: str
    model: str
    duration: Histogram = field(default_factory=lambda: Histogram(DURATION_BOUNDS))
    ttft: Histogram = field(default_factory=lambda: Histogram(TTFT_BOUNDS))
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    estimated: int = 0
    attempts: int = 0
    retries: int = 0
    fallbacks: int = 0  # how often the next candidate was tried after this one
    failures: dict[str, int] = field(default_factory=dict)  # by kind
    breaker_changes: dict[str, int] = field(default_factory=dict)  # by the state gone to


@dataclass(slots=True)
class Requests:
    """How many exchanges of one kind ended one way."""

    wire: str
    outcome: str
    status_class: str  # "2xx"
    served: Served
    count: int = 0
