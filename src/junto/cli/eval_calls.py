"""One call of `junto eval run`: a case put to a model, and where asked for the judge's word on the answer.

Owns what is sent and how answers are read; how many calls run at once is eval_run's business. Nothing here raises for one call
that fails: that is an outcome.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final, Self

import httpx2

from junto.cli.eval_figures import Outcome
from junto.cli.remote import RemoteError, credentials, json_of, may_use_a_proxy, told_at

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from junto.cli.eval_cases import Case

_CHAT: Final = "/v1/chat/completions"
_JUDGE: Final = "/eval/judge"
_TIMEOUT: Final = httpx2.Timeout(connect=5, read=900, write=60, pool=None)  # Junto's own deadlines come first
_BUSY: Final = frozenset({429, 503})
_MOST_WAITS: Final = 5
_LONGEST_WAIT: Final = 60.0  # seconds: a budget that is used up until tomorrow is a failure, not a wait
_NOT_YET: Final = 40  # looks for an exchange on its way to the database, which takes it within a second
_LOOK_AGAIN: Final = 0.25
_NOT_FOUND: Final = "not_found"


class ManyCalls:
    """A running Junto that is asked many things at once. `async with` it."""

    def __init__(self, url: str, key: str | None, *, most: int, transport: httpx2.AsyncBaseTransport | None) -> None:
        self.url = url.rstrip("/")
        self._client = httpx2.AsyncClient(
            headers=credentials(key),
            timeout=_TIMEOUT,
            transport=transport,
            limits=httpx2.Limits(max_connections=most, max_keepalive_connections=most),
            trust_env=may_use_a_proxy(url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> httpx2.Response:
        """The answer, whatever its status; raises RemoteError when there is none. Cancelling it stops the model."""
        with told_at(self.url):
            return await self._client.post(self.url + path, json=body, headers=headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How cases are asked: the task and tier in the headers, `options` (temperature and such) in every body."""

    task: str
    sensitivity: str | None = None
    system: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    judge: str | None = None
    judge_key: str | None = None  # where it is another than that of the questions
    rubric: str | None = None
    allow_same_family: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """What goes with each question."""
        tier = {"x-junto-sensitivity": self.sensitivity} if self.sensitivity else {}
        return {"x-junto-task": self.task, **tier}


class Caller:
    """Puts cases to models. Waits where Junto says that it is busy and for how long, a few times."""

    def __init__(
        self,
        calls: ManyCalls,
        asking: Asking,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._calls = calls
        self._asking = asking
        self._clock = clock
        self._sleep = sleep

    async def ask(self, case: Case, model: str) -> Outcome:
        """What came of it; the latency is that of the call which was answered, without waits before it."""
        asked = Outcome(case_id=case.id, model=model, expected=case.expected)
        system = [{"role": "system", "content": self._asking.system}] if self._asking.system else []
        body = {"model": model, "messages": [*system, *case.messages], "stream": False, **self._asking.options}
        try:
            response, seconds = await self._when_it_has_room(body)
            outcome = answered(asked, response, json_of(response, self._calls.url), seconds)
        except RemoteError as error:
            return replace(asked, failure=str(error))
        return await self._judged(outcome) if self._asking.judge and not outcome.failure else outcome

    async def _when_it_has_room(self, body: Mapping[str, Any]) -> tuple[httpx2.Response, float]:
        for waits in range(_MOST_WAITS + 1):
            started = self._clock()
            response = await self._calls.post(_CHAT, body, self._asking.headers)
            seconds = self._clock() - started
            pause = pause_of(response)
            if pause is None or waits == _MOST_WAITS:
                break
            await self._sleep(pause)
        return response, seconds

    async def _judged(self, outcome: Outcome) -> Outcome:
        subject = {"kind": "exchange", "id": outcome.request_id}
        body: dict[str, Any] = {"mode": "pointwise", "judges": [self._asking.judge], "subject": subject}
        if self._asking.rubric:
            body["rubric"] = self._asking.rubric
        if self._asking.allow_same_family:
            body["allow_same_family"] = True
        headers = credentials(self._asking.judge_key)
        for looks in range(_NOT_YET):
            try:
                return judged(outcome, json_of(await self._calls.post(_JUDGE, body, headers), self._calls.url))
            except RemoteError as error:
                if error.code != _NOT_FOUND or looks == _NOT_YET - 1:
                    return replace(outcome, judge_failure=str(error))
            await self._sleep(_LOOK_AGAIN)
        return outcome


def pause_of(response: httpx2.Response) -> float | None:
    """For how many seconds Junto asks to wait; None where waiting does not help, or for longer than anybody waits."""
    if response.status_code not in _BUSY:
        return None
    try:
        seconds = float(response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and 0 <= seconds <= _LONGEST_WAIT else None


def answered(asked: Outcome, response: httpx2.Response, body: Any, seconds: float) -> Outcome:
    """The outcome of an answer; one that is no chat completion is a failure."""
    try:
        choice = body["choices"][0]
        text = choice["message"].get("content") or ""
        usage = body.get("usage") or {}
        tokens_in, tokens_out = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return replace(asked, failure="The answer is not one that a chat gives.")
    headers = response.headers
    return replace(
        asked,
        answered_by="/".join(part for part in (headers.get("x-junto-backend"), headers.get("x-junto-model")) if part),
        request_id=headers.get("x-junto-request-id", ""),
        text=text if isinstance(text, str) else str(text),
        finish_reason=str(choice.get("finish_reason") or ""),
        latency_ms=round(seconds * 1000),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        cost_usd=_amount(headers.get("x-junto-cost-usd")),
    )


def judged(outcome: Outcome, judgement: Any) -> Outcome:
    """The outcome with what the judge said of it; without a number it is a failure of the judge with its reason."""
    if not isinstance(judgement, dict):
        return replace(outcome, judge_failure="The answer is not one that a judge gives.")
    outcome = replace(outcome, judge_cost_usd=_amount(judgement.get("cost_usd")))
    score = judgement.get("score")
    if not isinstance(score, int | float) or isinstance(score, bool):
        error = judgement.get("error") or {}
        told = error.get("message") if isinstance(error, dict) else error
        return replace(outcome, judge_failure=str(told or "The judge gave no score."))
    return replace(outcome, score=float(score), judge_reason=str(judgement.get("reason") or ""))


def _amount(text: object) -> Decimal:
    try:
        return Decimal(str(text)) if text is not None else Decimal(0)
    except InvalidOperation:
        return Decimal(0)
