"""One upstream call of a job: an ordinary walk through the gateway's pipeline, read as a stream and folded to its end.

Implements ports.works for chats. Owns how far the answer has got (`Progress`). Knows no lease, no database and no retry.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.core.completion import Folder
from junto.core.errors import Forbidden, JuntoError, UpstreamFailed
from junto.core.events import TextDelta
from junto.core.exchange import Outcome
from junto.core.usage import estimate_tokens
from junto.dialects import openai
from junto.gateway.answer import BROKEN_OFF
from junto.gateway.exchange import Arrival
from junto.jobs.news import Told
from junto.jobs.request import decode_request
from junto.ports.works import Done

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.core.completion import Completion
    from junto.core.events import Event
    from junto.core.exchange import ExchangeRecord
    from junto.gateway.payment import Funds
    from junto.gateway.pipeline import Pipeline
    from junto.identity.keyring import KnownKey
    from junto.jobs.news import News
    from junto.ports.clock import Clock
    from junto.ports.jobs import Claim

_WATCHED_SECONDS: Final = 10.0
_MOST_FOLLOWED = 1024 * 1024  # characters of an answer that can be followed as they come; the rest is there at the end


type PolicyOf = Callable[[str, str], KnownKey | None]
"""What a client, by its id, may do by now for a tenant, by that one's; None for one that is not known."""


def nothing_known(client_id: str, tenant_id: str) -> None:
    """The policy of clients for whoever keeps none."""


class Unreadable(JuntoError):
    """What was stored of a job's request is damaged, or encrypted under a secret that is not in force."""

    code = "unreadable"


class Progress:
    """How far an attempt has got; told to others only while they watch. `record` is what the gateway settled, once it did."""

    __slots__ = ("_claim", "_clock", "_news", "_sent", "_size", "_told", "_until", "_untold", "record")

    def __init__(self, claim: Claim, news: News, clock: Clock) -> None:
        self._claim = claim
        self._news = news
        self._clock = clock
        self._told: list[str] = []
        self._untold: list[str] = []
        self._sent = 0  # characters that were told
        self._size = 0
        self._until = 0.0
        self.record: ExchangeRecord | None = None

    @property
    def tokens(self) -> int:
        """About how many tokens were answered so far."""
        return estimate_tokens(self._size)

    async def watch(self, fence: int, offset: int) -> None:
        """Somebody watches, and has the text of that attempt up to that offset: tell the rest, and for a while what is new."""
        self._until = self._clock.monotonic() + _WATCHED_SECONDS
        offset = offset if fence == self._claim.job.fence else 0
        if offset < self._sent:
            self._untold = [("".join(self._told) + "".join(self._untold))[offset:]]
            self._told, self._sent = ["".join(self._told)[:offset]], offset
        await self._tell()

    async def take(self, events: list[Event]) -> None:
        """More of the answer has come."""
        for event in events:
            if isinstance(event, TextDelta) and event.text:
                self._size += len(event.text)
                if self._size <= _MOST_FOLLOWED:
                    self._untold.append(event.text)
        if self._until and self._clock.monotonic() < self._until:
            await self._tell()

    async def _tell(self) -> None:
        text, self._untold = "".join(self._untold), []
        if text:
            start, self._sent = self._sent, self._sent + len(text)
            self._told.append(text)
            job = self._claim.job
            await self._news.grew(Told(job_id=job.id, fence=job.fence, offset=start, text=text))


class ChatWork:
    """Jobs that a model answers. `funds_of` says what pays for a claim's answer, `policy_of` what a client may do by now."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        news: News,
        clock: Clock,
        funds_of: Callable[[Claim], Funds],
        policy_of: PolicyOf = nothing_known,
    ) -> None:
        self.pipeline = pipeline
        self.news = news
        self.clock = clock
        self.funds_of = funds_of
        self.policy_of = policy_of

    def attempt(self, claim: Claim, *, id: str, stepped: Callable[[], Awaitable[None]]) -> ChatAttempt:  # noqa: ARG002
        """As ports.works.Work; an answer is one part."""
        return ChatAttempt(self, claim, id)


class ChatAttempt:
    """One call, to its end."""

    __slots__ = ("_claim", "_id", "_progress", "_work")

    def __init__(self, work: ChatWork, claim: Claim, id: str) -> None:
        self._work = work
        self._claim = claim
        self._id = id
        self._progress = Progress(claim, work.news, work.clock)

    @property
    def tokens(self) -> int:
        return self._progress.tokens

    @property
    def record(self) -> ExchangeRecord | None:
        return self._progress.record

    async def run(self) -> Done:
        work, claim = self._work, self._claim
        arrival = arrival_of(claim, self._id, work.policy_of)
        return await call(work.pipeline, arrival, self._progress, work.funds_of(claim))

    async def watch(self, *, fence: int, offset: int) -> None:
        await self._progress.watch(fence, offset)


async def call(pipeline: Pipeline, arrival: Arrival, progress: Progress, funds: Funds) -> Done:
    """Ask and read to the end; raises a JuntoError. Cancelled, it cancels the upstream, and `progress.record` says what was used."""
    arrival.funds = funds
    answer = await pipeline.open(arrival)
    answer.draw_on(funds)
    folder = Folder()
    try:
        parser = arrival.wire.event_parser()
        while piece := await answer.read():
            await _take(parser.feed(piece), folder, progress)
            await asyncio.sleep(0)  # an answer that is all there must not keep the loop from the other jobs
        await _take(parser.end(), folder, progress)
    finally:
        answer.close()
        progress.record = answer.record
    record = answer.record
    if folder.failure is not None or record is None or record.outcome is not Outcome.OK:
        raise UpstreamFailed(BROKEN_OFF)
    return Done(answer=answer_json(folder.completion()), record=record)


async def _take(events: list[Event], folder: Folder, progress: Progress) -> None:
    for event in events:
        folder.add(event)
    await progress.take(events)


def arrival_of(claim: Claim, id: str, policy_of: PolicyOf = nothing_known) -> Arrival:
    """The request of an attempt, at the tier that is in force for the job, and under what its client may do by now.

    Raises Unreadable, and Forbidden for a client or tenant that was disabled meanwhile.
    """
    job = claim.job
    if not job.request:
        raise Unreadable("What the job asks cannot be read any more: see the log for the reason.")
    request = decode_request(job.request)
    known = policy_of(job.client_id, job.tenant_id)
    if known is not None and known.refusal:
        raise Forbidden(known.refusal)
    return Arrival(
        id=id,
        wire=openai.CHAT,
        body=request.body(job.model),
        principal=request.caller.principal(job.tenant_id, None if known is None else known.principal),
        sensitivity=job.sensitivity,
        task_type=job.task_type,
        timeout=None if claim.remaining_ms is None else max(claim.remaining_ms / 1000, 0.001),
        job_id=job.id,
        prompt_version=job.prompt_version,
        priority=job.priority,
    )


def answer_json(completion: Completion) -> bytes:
    """What is stored of an answer: its words, and its tool calls where there are any."""
    stored: dict[str, Any] = {"response": completion.text}
    if completion.tool_calls:
        stored["tool_calls"] = [
            {"id": one.id, "type": "function", "function": {"name": one.name, "arguments": one.arguments or "{}"}}
            for one in completion.tool_calls
        ]
    return msgspec.json.encode(stored)
