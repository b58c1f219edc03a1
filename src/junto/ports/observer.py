"""What telemetry hangs on: called synchronously on the hot path, so it must only count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from junto.core.exchange import ExchangeRecord


class Observer(Protocol):
    """Sees what happened. Must not raise, block or keep references to bodies."""

    def exchange_ended(self, record: ExchangeRecord) -> None:
        """An exchange was settled."""

    def attempt_ended(self, *, backend: str, model: str, failure: str, retried: bool) -> None:
        """An attempt ended; `failure` is "" for success, `retried` whether it was not the first at its deployment."""

    def breaker_changed(self, *, backend: str, model: str, state: str) -> None:
        """A breaker went to closed, open or half_open."""


class RefusalObserver(Protocol):
    """Sees requests that got an error instead of an answer, wherever they were turned away: at the door, too."""

    def request_refused(self, *, status: int, code: str) -> None:
        """A caller was sent an error; `code` is one of core.errors."""


class SwapEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A model was brought into, or put out of, a local backend's memory. `failure` is "" when that went well.

    `milliseconds` is None where the load was a part of something longer, and nobody knows which.
    """

    backend: str
    model: str
    operation: str  # load | unload
    ended_ms: int  # since the epoch
    milliseconds: int | None
    failure: str = ""
    job_id: str = ""  # the job that had to wait for it, if it was one


class SwapObserver(Protocol):
    """Sees models change places. The same rules as for an Observer."""

    def swap_ended(self, swap: SwapEnded) -> None:
        """A load or an unload ended, whoever asked for it: a person, or a request whose model was not in memory."""


class AttemptObserver(Observer, SwapObserver, Protocol):
    """Sees attempts, and the swaps that they make a backend do."""


class CouncilEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A council's sitting came to its end. `kind` is what its answer is: synthesis, single, side_by_side, best or failed."""

    template: str
    kind: str
    degraded: bool
    members: int
    missing: int
    milliseconds: int
    tokens: int
    cost_nano: int


class CouncilObserver(Protocol):
    """Sees councils. The same rules as for an Observer."""

    def council_ended(self, council: CouncilEnded) -> None:
        """A sitting ended by itself; one whose caller went away did not."""


class SpeechEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A text was said aloud, in whole or in part. `milliseconds` is the engine's time; `engine_failed`: it is started again."""

    engine: str
    voice: str
    outcome: str  # ok | error | cancelled
    characters: int
    audio_ms: int
    milliseconds: int
    engine_failed: bool = False


class SpeechObserver(Protocol):
    """Sees speech. The same rules as for an Observer."""

    def speech_ended(self, speech: SpeechEnded) -> None:
        """An engine is done with a text, however that ended."""


class DispatchEnded(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a worker at a job, from its claim to its end. Times are milliseconds since the epoch."""

    job_id: str
    number: int
    task_type: str
    sensitivity: str
    worker: str
    outcome: str  # as in job_attempts: ok | failed | cancelled | crashed | fenced
    started_ms: int
    ended_ms: int
    model: str = ""
    backend: str = ""
    error_code: str = ""
    swap_ms: int = 0


class JobEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A job reached its end. Told once per job, by whoever wrote the end down. Times are milliseconds since the epoch."""

    id: str
    tenant: str
    client: str
    task_type: str
    sensitivity: str
    status: str  # complete | failed | cancelled
    priority: int
    created_ms: int
    finished_ms: int
    started_ms: int | None = None  # of its first attempt; None if it never began
    model: str = ""  # that answered
    backend: str = ""
    attempts: int = 0
    error_code: str = ""


class JobObserver(Protocol):
    """Sees what happens to jobs. The same rules as for an Observer: no raising, no blocking, no content."""

    def job_submitted(self, *, task_type: str, queued: bool) -> None:
        """A job was accepted; `queued` is False for one that runs at once."""

    def dispatch_ended(self, dispatch: DispatchEnded) -> None:
        """A worker's attempt at a job ended."""

    def job_ended(self, job: JobEnded) -> None:
        """A job is complete, failed or cancelled."""

    def lease_lost(self) -> None:
        """A worker could not renew its lease in time and let go of the job."""

    def write_fenced(self) -> None:
        """A write with a stale fence was turned away."""

    def swept(self, *, what: str, count: int) -> None:
        """A sweep put `count` things right: `requeued`, `failed`, `republished`, `reservations` or another fixed word."""

    def webhook_tried(self, *, outcome: str) -> None:
        """A webhook was `delivered`, will be `retried`, or was `given_up`."""


class JudgementEnded(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement came to its end. `outcome` is ok, or the code of its error; `judges` are names, each with ok or its own code."""

    mode: str
    outcome: str
    judges: tuple[tuple[str, str], ...]
    tokens: int
    cost_nano: int


class JudgeObserver(Protocol):
    """Sees judgements. The same rules as for an Observer."""

    def judgement_ended(self, judgement: JudgementEnded) -> None:
        """A judgement was made, or failed."""
