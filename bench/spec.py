"""What is said between the benchmark and its load generator: one specification in, one result out.

Plain values that cross a process boundary as JSON. No I/O.
"""

import msgspec

from bench.answers import Kind


class Load(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of load: closed loop, unless `rate` is given (then open loop, so queueing counts as latency)."""

    port: int
    path: str
    body: str
    expect: str
    kind: Kind = "unary"
    headers: dict[str, str] = {}
    connections: int = 32
    requests: int | None = None
    seconds: float | None = None
    rate: float | None = None
    warm_requests: int | None = None
    warm_seconds: float | None = None
    stagger_s: float = 0.0
    progress_every: int = 0
    patience_s: float = 60.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of load saw; times in milliseconds unless the name says otherwise."""

    requests: int
    errors: int
    reasons: dict[str, int]
    elapsed_s: float
    rate: float
    p50: float
    p90: float
    p99: float
    worst: float
    first_byte_p50: float
    reads_per_answer: float


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Connections are open and warm; the generator waits for a line before it begins to measure."""

    errors: int
    reasons: dict[str, int]


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """So many requests are done."""

    requests: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The run is over."""

    outcome: Outcome


Report = Ready | Progress | Done
