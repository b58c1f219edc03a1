"""Puts speech and jobs together: engines that are installed, the work that speech jobs are, and the submission of one."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING

import msgspec

from junto.bootstrap.jobs import SpeechRoom
from junto.core.errors import Forbidden, JuntoError
from junto.core.sensitivity import parse_sensitivity
from junto.jobs.calling import Unreadable
from junto.jobs.request import JobCaller, JobRequest, decode_request
from junto.jobs.submission import Prospect, charge_of
from junto.ports.jobs import Kind
from junto.providers.speech import hibari, piper
from junto.routing.sensitivity import effective_sensitivity
from junto.speech.access import Library
from junto.speech.attempt import SpeechAttempt, Workshop
from junto.speech.choosing import choose
from junto.speech.files import OutputFiles
from junto.speech.order import decode_order
from junto.speech.recording import SpeechRecords
from junto.speech.speaker import SpeechService
from junto.speech.sweeping import OutputSweeper
from junto.speech.voices import Voices
from junto.storage.repositories.outputs import StoredOutputs
from junto.telemetry.speech import SpeechMetrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AsyncExitStack
    from pathlib import Path

    from junto.bootstrap.node import Given, Node
    from junto.identity.principal import Principal
    from junto.jobs.calling import PolicyOf
    from junto.jobs.service import Accepted, Jobs
    from junto.jobs.submission import Submission
    from junto.ports.jobs import Claim
    from junto.ports.speech import Engine
    from junto.ports.works import Attempt, Done
    from junto.settings.model import Settings, SpeechSettings
    from junto.speech.order import Order

_FOLDER = "output"


def installed(settings: SpeechSettings) -> Sequence[Engine]:
    """The engines that there are, the most usual one first; nothing of them runs yet."""
    found = [hibari.find(settings.voices_dir)]
    if settings.piper.enabled:
        found.append(piper.find(settings.voices_dir))
    return [engine for engine in found if engine is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechOptions:
    """What a test brings along: its own engines, and how long is waited between two tries at the database, in seconds."""

    engines: Callable[[SpeechSettings], Sequence[Engine]] = field(default=installed)
    again: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechParts:
    """What the doors and the worker use of it."""

    service: SpeechService
    library: Library
    room: SpeechRoom
    sweeper: OutputSweeper


def open_speech(
    settings: Settings, given: Given, node: Node, stack: AsyncExitStack, options: SpeechOptions | None = None
) -> SpeechParts:
    """Everything of speech, until the stack is closed; opened before jobs, so that it stops after them."""
    options = options or SpeechOptions()
    operation, clock = node.operation, given.clock
    engines = options.engines(settings.speech)
    for engine in engines:
        stack.push_async_callback(engine.stop)
    metrics = SpeechMetrics()
    node.observing.add_families(metrics.families)
    records = SpeechRecords(
        node.storage.journal,
        node.observing.observer,
        metrics,
        clock=clock,
        keep_of=lambda tier: operation.current.runtime.keep[parse_sensitivity(tier)],
    )
    voices, files = Voices(engines), OutputFiles(output_dir(settings), make_suffix=partial(token_hex, 4))
    outputs = StoredOutputs(node.storage.sessions)
    shop = Workshop(voices=voices, files=files, outputs=outputs, records=records, clock=clock, again=options.again)
    sweeper = OutputSweeper(outputs, files, clock, days=lambda: operation.settings.speech.retention_days)
    sweeper.start()
    stack.push_async_callback(sweeper.stop)
    return SpeechParts(
        service=SpeechService(
            voices,
            records,
            clock=clock,
            usual=lambda: operation.settings.speech.voice or "",
            most=lambda: operation.settings.speech.max_chars,
            default_tier=lambda: operation.current.runtime.default_sensitivity,
        ),
        library=Library(outputs, files),
        room=SpeechRoom(
            work=SpeechWork(shop, policy_of=node.identity.keyring.acting),
            room=lambda: operation.settings.speech.workers if engines else 0,
        ),
        sweeper=sweeper,
    )


def output_dir(settings: Settings) -> Path:
    """The folder of audio files."""
    return settings.speech.output_dir or settings.data_dir / _FOLDER


class SpeechWork:
    """Implements ports.works.Work: reads what a speech job asks for, and under what its client may do by now."""

    def __init__(self, shop: Workshop, *, policy_of: PolicyOf) -> None:
        self._shop = shop
        self._policy_of = policy_of

    def attempt(self, claim: Claim, *, id: str, stepped: Callable[[], Awaitable[None]]) -> Attempt:
        job = claim.job
        known = self._policy_of(job.client_id, job.tenant_id)
        if known is not None and known.refusal:
            return _Refused(Forbidden(known.refusal))
        if not job.request:
            return _Refused(Unreadable("What the job asks cannot be read any more: see the log for the reason."))
        request = decode_request(job.request)
        order = decode_order(bytes(request.order))
        principal = request.caller.principal(job.tenant_id, None if known is None else known.principal)
        return SpeechAttempt(self._shop, claim, order, principal, id, stepped)


class _Refused:
    """An attempt that is over before it began."""

    tokens = 0
    record = None

    def __init__(self, error: JuntoError) -> None:
        self._error = error

    async def run(self) -> Done:
        raise self._error

    async def watch(self, *, fence: int, offset: int) -> None:
        """There is nothing to be seen."""


class SpeechDesk:
    """Submits speech jobs."""

    def __init__(self, jobs: Jobs, speech: SpeechService) -> None:
        self._jobs = jobs
        self._speech = speech

    async def submit(self, principal: Principal, asked: Submission, order: Order) -> Accepted:
        """Accept a job that says this. Raises as Jobs.submit does, and Forbidden for a client that may not use the engine."""
        engine = choose(self._speech.voices, order.voice).engine.name
        self._speech.check_allowed(principal, engine, engine)
        tier = effective_sensitivity(
            default=self._speech.default_tier(),
            principal_min=principal.min_sensitivity,
            asked_body=None if asked.sensitivity is None else parse_sensitivity(asked.sensitivity),
        )
        request = JobRequest(caller=JobCaller.of(principal), model=engine, order=msgspec.Raw(order.encode()))
        prospect = Prospect(
            model=engine,
            sensitivity=tier,
            is_local=False,  # it waits for no model's hardware
            is_ready=False,  # and for room of its own
            default_route=False,
            request=request,
            prompt_version="",
            tokens=order.characters,
            charge=charge_of(order.characters, principal),
            reserve_nano=0,
            kind=Kind.SPEECH,
            steps=len(order.chapters) if order.in_chapters else 0,
        )
        return await self._jobs.submit_planned(principal, asked, prospect)
