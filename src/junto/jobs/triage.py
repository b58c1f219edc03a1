"""A triage of failed attempts: a local model gets operational metadata and names one of five steps. Off by default.

It never sees content: not the prompt, not the answer, not the task type or the metadata, which are the caller's own words. Its
question goes through the pipeline as confidential, so that only local deployments can be asked. An answer that is late, not of
the schema, or impossible means the static rules. Every decision is written down, and later how the job ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from junto.core.completion import Completion
from junto.core.errors import JuntoError, Misconfigured, NotServable
from junto.core.sensitivity import Sensitivity
from junto.dialects import openai
from junto.gateway.exchange import Arrival
from junto.identity.principal import Principal
from junto.jobs.failures import Decision, GiveUp, RetryLater, Step, usual
from junto.jobs.model import retry_delay_ms
from junto.jobs.request import decode_request
from junto.ports.jobs import Kind, TriageDecision

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.gateway.pipeline import Pipeline
    from junto.ports.clock import Clock
    from junto.ports.jobs import Claim, MakeId, WorkStore

_SECONDS: Final = 10.0
_MOST_TOKENS = 64
_LARGEST_ANSWER = 64 * 1024
_OTHER: Final = "fast"  # any local model
_FALLBACK: Final = "quality"
_SCHEMA: Final = {
    "type": "object",
    "properties": {"decision": {"type": "string", "enum": [decision.value for decision in Decision]}},
    "required": ["decision"],
    "additionalProperties": False,
}
_TASK: Final = (
    "You operate a queue of jobs for language models. One attempt at a job failed. From the facts, choose what follows: "
    "retry (the same again after a rest), swap (another local model), fall_back (the fallback model), return_503 (give up: no "
    "provider will answer soon), escalate (give up and tell the operator). Answer with JSON only."
)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a triage learns: codes, names of deployments and counts, none of them a caller's words."""

    error: str
    reasons: tuple[str, ...]
    retry_after_s: float | None
    attempt: int
    max_attempts: int
    local: bool
    priority: int
    has_fallback: bool
    seconds_left: int | None


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    decision: Decision


class Triage:
    """Implements FailureHandling with a local model; `model` is whom to ask, `seconds` how long to wait for it."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: WorkStore,
        *,
        clock: Clock,
        make_id: MakeId,
        jitter: Callable[[], float],
        model: str = _OTHER,
        seconds: float = _SECONDS,
    ) -> None:
        self._pipeline = pipeline
        self._store = store
        self._clock = clock
        self._make_id = make_id
        self._jitter = jitter
        self._model = model
        self._seconds = seconds
        self._log = structlog.get_logger()

    async def after(self, claim: Claim, error: JuntoError) -> Step:
        by_rule = usual(claim, error, self._jitter())
        is_settled = isinstance(by_rule, GiveUp) or isinstance(error, Misconfigured | NotServable)
        if is_settled or claim.job.kind is not Kind.CHAT:
            return by_rule  # there is nothing to choose
        facts = facts_of(claim, error)
        began = self._clock.monotonic()
        decision = await self._ask(facts)
        if decision is None:
            return by_rule
        step = self._step(decision, claim, error)
        await self._record(claim, facts, decision, int((self._clock.monotonic() - began) * 1000))
        return step

    async def _ask(self, facts: Facts) -> Decision | None:
        """What the model says; None where that is of no use."""
        arrival = Arrival(
            id=self._make_id("req"),
            wire=openai.CHAT,
            body=question(self._model, facts),
            principal=Principal(client="triage"),
            sensitivity=Sensitivity.CONFIDENTIAL.label,
            timeout=self._seconds,
        )
        try:
            async with asyncio.timeout(self._seconds):
                return decision_in(await self._answer(arrival))
        except (JuntoError, TimeoutError):
            return None
        except Exception:  # noqa: BLE001  whatever is wrong with the triage, the static rules hold
            self._log.exception("triage_failed")
            return None

    async def _answer(self, arrival: Arrival) -> str:
        answer = await self._pipeline.open(arrival)
        pieces: list[bytes] = []
        try:
            while piece := await answer.read():
                pieces.append(piece)
        finally:
            answer.close()
        body = b"".join(pieces)
        completion = openai.CHAT.parse_response(body) if len(body) <= _LARGEST_ANSWER else None
        return completion.text if isinstance(completion, Completion) else ""

    def _step(self, decision: Decision, claim: Claim, error: JuntoError) -> Step:
        rest = retry_delay_ms(claim.attempt, jitter=self._jitter(), retry_after=error.retry_after)
        match decision:
            case Decision.RETRY:
                return RetryLater(delay_ms=rest)
            case Decision.SWAP:
                return RetryLater(delay_ms=0, model=_OTHER)
            case Decision.FALL_BACK:
                return RetryLater(delay_ms=0, model=decode_request(claim.job.request).fallback or _FALLBACK)
            case Decision.RETURN_503:
                return GiveUp(error_code="all_backends_down", error_message="All providers unavailable")
            case Decision.ESCALATE:
                self._log.error("job_escalated", job_id=claim.job.id, error=error.code, attempt=claim.attempt)
                return GiveUp(error_code=error.code, error_message=f"{error.message} The operator was told.")

    async def _record(self, claim: Claim, facts: Facts, decision: Decision, milliseconds: int) -> None:
        with contextlib.suppress(JuntoError):  # the database is away: the decision stands all the same
            await self._store.record_triage(
                TriageDecision(
                    tenant_id=claim.job.tenant_id,
                    id=self._make_id("tri"),
                    job_id=claim.job.id,
                    facts=msgspec.json.encode(facts).decode(),
                    decision=decision.value,
                    latency_ms=milliseconds,
                )
            )


def facts_of(claim: Claim, error: JuntoError) -> Facts:
    """The facts of a failed attempt. An error's reasons name deployments and kinds of failure, in Junto's own words."""
    job = claim.job
    return Facts(
        error=error.code,
        reasons=error.reasons[:10],
        retry_after_s=error.retry_after,
        attempt=claim.attempt,
        max_attempts=job.max_attempts,
        local=job.local,
        priority=job.priority,
        has_fallback=bool(decode_request(job.request).fallback),
        seconds_left=None if claim.remaining_ms is None else claim.remaining_ms // 1000,
    )


def question(model: str, facts: Facts) -> bytes:
    """The question, in OpenAI's wire, with the schema of its answer."""
    schema = {"name": "decision", "schema": _SCHEMA, "strict": True}
    asked: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": _TASK},
            {"role": "user", "content": msgspec.json.encode(facts).decode()},
        ],
        "response_format": {"type": "json_schema", "json_schema": schema},
        "max_tokens": _MOST_TOKENS,
        "temperature": 0,
    }
    return msgspec.json.encode(asked)


def decision_in(text: str) -> Decision | None:
    """The decision that a text holds; None unless it is just that, as the schema has it."""
    try:
        return msgspec.json.decode(text.strip().encode(), type=_Said).decision
    except (msgspec.MsgspecError, UnicodeError):
        return None
