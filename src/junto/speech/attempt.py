"""One attempt at a speech job: a file for each chapter, each written down as soon as it is whole. Implements ports.works.Attempt.

Invariant: a row is written after its file is on the disk, and under the claim's fence; what has a row is not made again, so a crash
costs the chapter that was under way and no other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.core.errors import Conflict, JuntoError, Overloaded
from junto.ports.outputs import Output
from junto.ports.works import Done
from junto.speech.choosing import choose
from junto.speech.order import url_of
from junto.speech.recording import JOB_WIRE, TASK_TYPE, Asked
from junto.speech.speaking import Speech

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from junto.core.exchange import ExchangeRecord
    from junto.identity.principal import Principal
    from junto.ports.clock import Clock
    from junto.ports.jobs import Claim
    from junto.ports.outputs import OutputStore
    from junto.speech.files import OutputFiles
    from junto.speech.order import Chapter, Order
    from junto.speech.recording import SpeechRecords
    from junto.speech.voices import Named, Voices

_PATIENCE_SECONDS: Final = 20.0  # for a database that restarts
_AGAIN_SECONDS: Final = 0.5
_BROKEN: Final = JuntoError("Something went wrong inside Junto.")


class Fenced(Conflict):
    """The claim is another worker's by now."""


class Workshop(msgspec.Struct, frozen=True, kw_only=True):
    """What all attempts of a process work with."""

    voices: Voices
    files: OutputFiles
    outputs: OutputStore
    records: SpeechRecords
    clock: Clock
    again: float = _AGAIN_SECONDS


class SpeechAttempt:
    """One attempt. `stepped` is called for each file that is written down."""

    def __init__(  # noqa: PLR0917  the facts of an attempt
        self,
        workshop: Workshop,
        claim: Claim,
        order: Order,
        principal: Principal,
        id: str,
        stepped: Callable[[], Awaitable[None]],
    ) -> None:
        self._shop = workshop
        self._claim = claim
        self._order = order
        self._principal = principal
        self._id = id
        self._stepped = stepped
        self._characters = 0
        self.record: ExchangeRecord | None = None

    @property
    def tokens(self) -> int:
        return self._characters

    async def watch(self, *, fence: int, offset: int) -> None:
        """Its files are told of as they are written down, and nothing of it before."""

    async def run(self) -> Done:
        job, order, began = self._claim.job, self._order, self._shop.clock.monotonic()
        speaker = self._speaker()
        there = {output.number: output for output in await self._shop.outputs.of_job(job.tenant_id, job.id)}
        self._characters = sum(output.characters for output in there.values())
        record: ExchangeRecord | None = None
        for number, chapter in zip(order.numbers, order.chapters, strict=True):
            if number not in there:
                there[number], record = await self._make(speaker, number, chapter)
                self._characters += len(chapter.text)
                await self._stepped()
        made = [there[number] for number in order.numbers]
        await self._shop.files.tidy(job.id, {output.file[1] for output in made})
        milliseconds = int((self._shop.clock.monotonic() - began) * 1000)
        total = msgspec.structs.replace(self._total(speaker, record, made), duration_ms=milliseconds)
        return Done(answer=answer_of(order, made), record=total)

    def _speaker(self) -> Named:
        try:
            return choose(self._shop.voices, self._order.voice)
        except JuntoError as error:  # it was there where the job was submitted: another worker may have it
            raise Overloaded("This worker has not the voice that was chosen.") from error

    async def _make(self, speaker: Named, number: int, chapter: Chapter) -> tuple[Output, ExchangeRecord]:
        """One file, on the disk and written down."""
        shop, order = self._shop, self._order
        asked = self._asked(speaker, number)
        speech = Speech(chapter.text, speaker, order.format, speed=order.speed, clock=shop.clock)
        draft = shop.files.draft(self._output(speaker, number))
        try:
            async for piece in speech.sound:
                await draft.write(piece)
            await draft.finish(speech.front())
        except asyncio.CancelledError:
            self.record = shop.records.said(asked, speech, gone=True)
            raise
        except Exception as error:
            shop.records.said(asked, speech, error=error if isinstance(error, JuntoError) else _BROKEN)
            raise
        finally:
            await speech.sound.aclose()
            await draft.discard()
        output = msgspec.structs.replace(
            self._output(speaker, number), characters=speech.characters, bytes=draft.size, audio_ms=speech.audio_ms
        )
        await self._written_down(output)
        return output, shop.records.said(asked, speech)

    async def _written_down(self, output: Output) -> None:
        until = self._shop.clock.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                is_mine = await self._shop.outputs.add(self._claim, output)
            except Overloaded:  # it may have happened; said twice, it is written down once
                if self._shop.clock.monotonic() >= until:
                    raise
                await asyncio.sleep(self._shop.again)
                continue
            if not is_mine:
                raise Fenced("Another worker has the job by now.")
            return

    def _output(self, speaker: Named, number: int) -> Output:
        job, order = self._claim.job, self._order
        return Output(
            tenant_id=job.tenant_id,
            id=order.name(job.id, number),
            job_id=job.id,
            client_id=job.client_id,
            number=number,
            fence=job.fence,
            voice=speaker.name,
            content_type=order.format.media_type,
            characters=0,
            bytes=0,
            audio_ms=0,
        )

    def _asked(self, speaker: Named, number: int) -> Asked:
        job, clock = self._claim.job, self._shop.clock
        return Asked(
            id=f"{self._id}.{number}" if number else self._id,
            principal=self._principal,
            sensitivity=job.sensitivity,
            wire=JOB_WIRE,
            model=speaker.engine.name,
            started=clock.monotonic(),
            started_ms=clock.wall_ms(),
            task_type=TASK_TYPE,
            job_id=job.id,
        )

    def _total(self, speaker: Named, latest: ExchangeRecord | None, made: Sequence[Output]) -> ExchangeRecord:
        """What the job's row says of all files: characters for tokens of the prompt, bytes for those of the answer."""
        if latest is None:  # all were there: the worker before died between the last file and the end
            speech = Speech("", speaker, self._order.format, speed=1.0, clock=self._shop.clock)
            latest = self._shop.records.said(self._asked(speaker, 0), speech)
        return msgspec.structs.replace(
            latest,
            input_tokens=sum(output.characters for output in made),
            output_tokens=sum(output.bytes for output in made),
        )


def answer_of(order: Order, made: Sequence[Output]) -> bytes:
    """The job's answer: where its files are, one line each in `response`, and what there is to say of them."""
    answer: dict[str, Any] = {
        "response": "\n".join(url_of(output.id) for output in made),
        "voice": order.voice,
        "format": order.format.value,
        "audio_ms": sum(output.audio_ms for output in made),
        "bytes": sum(output.bytes for output in made),
        "characters": sum(output.characters for output in made),
    }
    if order.in_chapters:
        answer["chapters"] = [
            {
                "number": output.number,
                "title": chapter.title,
                "url": url_of(output.id),
                "audio_ms": output.audio_ms,
                "bytes": output.bytes,
                "characters": output.characters,
            }
            for output, chapter in zip(made, order.chapters, strict=True)
        ]
    return msgspec.json.encode(answer)
