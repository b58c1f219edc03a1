"""Speech as jobs, their files, and the voices. Reads and shows; streaming is web/speech.py's."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from junto.core.errors import InvalidField
from junto.core.sensitivity import parse_sensitivity
from junto.jobs.submission import Submission
from junto.jobs.views import error_of, shown
from junto.ports.jobs import OnCrash, Status
from junto.speech.encoding import AudioFormat, formats
from junto.speech.order import FILE_FORMATS, Order, check_speed, in_chapters, one_text, parse_format
from junto.speech.recording import TASK_TYPE
from junto.web.deps import Caller, JobAccount, JobCaller, Services
from junto.web.files import file_response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.ports.jobs import Job
    from junto.speech.order import Chapter

router = APIRouter(tags=["speech"])

_LARGEST = 8 * 1024 * 1024
_MOST_METADATA = 16 * 1024
_LONGEST_WAIT = 600
_LONGEST_TITLE = 500
_MOST_LISTED = 10_000  # chapters that are read at all; how many may be is order.py's to say
_WAIT = re.compile(r"wait\s*=\s*\"?(\d{1,6})\"?")

type Words = Annotated[StrictStr, Field(max_length=_LARGEST)]


class NewChapter(BaseModel):
    """One chapter: a file of its own."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[StrictStr, Field(max_length=_LONGEST_TITLE)] = ""
    text: Words


class NewSpeech(BaseModel):
    """A text to be said aloud, in one piece or in chapters."""

    model_config = ConfigDict(extra="forbid")

    text: Words | None = None
    chapters: Annotated[list[NewChapter], Field(max_length=_MOST_LISTED)] | None = None
    voice: Annotated[StrictStr, Field(max_length=200)] | None = None
    format: Annotated[StrictStr, Field(max_length=20)] = "mp3"
    speed: float = 1.0
    sensitivity: Annotated[StrictStr, Field(max_length=100)] | None = None
    priority: Annotated[StrictInt, Field(ge=1, le=10)] = 5
    webhook: Annotated[StrictStr, Field(max_length=2048)] | None = None
    metadata: dict[str, Any] = {}
    deadline_s: Annotated[float, Field(gt=0, le=30 * 24 * 3600)] | None = None
    wait_s: Annotated[float, Field(ge=0, le=_LONGEST_WAIT)] | None = None
    on_crash: Literal["retry", "fail"] = "retry"
    max_attempts: Annotated[StrictInt, Field(ge=1, le=10)] = 3

    def texts(self, most: int) -> tuple[Chapter, ...]:
        """What is to be said. Computes: call it in a thread."""
        if (self.text is None) == (self.chapters is None):
            raise InvalidField("Either text or chapters is needed, and not both.", param="text")
        if self.text is not None:
            return one_text(self.text, most=most)
        return in_chapters([(each.title, each.text) for each in self.chapters or ()], most=most)

    def submission(self, *, key: str | None, wait: int | None, tiers: Sequence[str]) -> Submission:
        """The rest of the body in the jobs' own words. Raises InvalidField. Computes: call it in a thread."""
        asked = [parse_sensitivity(tier.strip(), param="X-Junto-Sensitivity") for tier in tiers]
        if self.sensitivity is not None:
            asked.append(parse_sensitivity(self.sensitivity))
        tier = max(asked).label if asked else None
        fields = self.model_dump(exclude_unset=True)
        try:
            digest = hashlib.sha256(
                msgspec.json.encode({**fields, "tier": tier, "tts": 1}, order="deterministic")
            ).hexdigest()
            if len(msgspec.json.encode(self.metadata)) > _MOST_METADATA:
                raise InvalidField("metadata has 16 kB at most, as JSON.", param="metadata")
        except (ValueError, OverflowError, RecursionError) as error:
            raise InvalidField("The body has text or numbers that are no JSON values of ours.") from error
        return Submission(
            task_type=TASK_TYPE,
            sensitivity=tier,
            priority=self.priority,
            metadata=self.metadata,
            wait_s=(wait or 0.0) if self.wait_s is None else self.wait_s,
            deadline_s=self.deadline_s,
            webhook=self.webhook,
            on_crash=OnCrash(self.on_crash),
            max_attempts=self.max_attempts,
            idempotency_key=key,
            digest=digest,
        )


@router.post("/tts")
async def submit_speech(  # noqa: PLR0917  one parameter a header
    body: NewSpeech,
    services: Services,
    caller: JobCaller,
    idempotency_key: Annotated[str | None, Header(max_length=255, min_length=1)] = None,
    prefer: Annotated[str | None, Header(max_length=1000)] = None,
    x_junto_sensitivity: Annotated[list[str] | None, Header()] = None,
) -> Response:
    """Accept a text, or a book in chapters, to be said aloud: a job, whose files are there when it is done."""
    speaker = services.speech.choose(body.voice)
    order = Order(
        voice=speaker.name,
        format=parse_format(body.format, [each for each in FILE_FORMATS if each in formats()], param="format"),
        chapters=await asyncio.to_thread(body.texts, services.speech.most()),
        speed=check_speed(body.speed),
        in_chapters=body.chapters is not None,
    )
    found = _WAIT.search(prefer or "")
    wait = min(int(found[1]), _LONGEST_WAIT) if found else None
    submission = await asyncio.to_thread(
        body.submission, key=idempotency_key, wait=wait, tiers=x_junto_sensitivity or ()
    )
    accepted = await services.speech_desk.submit(caller, submission, order)
    limits = {name.decode(): value.decode() for name, value in accepted.limits}
    return _answer(accepted.job, order, limits)


@router.get("/tts/voices")
async def list_voices(services: Services, caller: Caller) -> dict[str, Any]:  # noqa: ARG001  whoever may ask
    """The voices that are installed here, the usual one first."""
    speech = services.speech
    named = speech.voices.all
    if not named:
        return {"voices": [], "default": None, "formats": []}
    usual = speech.choose(None)
    ordered = [usual, *(one for one in named if one is not usual)]
    return {
        "voices": [
            {
                "name": one.name,
                "engine": one.engine.name,
                "language": one.voice.language,
                "sample_rate": one.voice.sample_rate,
                "description": one.voice.description,
            }
            for one in ordered
        ],
        "default": usual.name,
        "formats": [each.value for each in formats() if each is not AudioFormat.PCM],
    }


@router.head("/output/{file:path}", include_in_schema=False)
@router.get("/output/{file:path}", response_class=StreamingResponse)
async def fetch_output(
    file: Annotated[str, Path(max_length=1000)], request: Request, services: Services, caller: JobAccount
) -> Response:
    """An audio file of one of the caller's jobs, whole or in ranges."""
    output, path = await services.outputs.find(caller, file)
    return file_response(
        path,
        output.bytes,
        media_type=output.content_type,
        etag=f'"{output.fence:x}-{output.bytes:x}-{output.created_ms:x}"',
        headers={
            name: request.headers[name] for name in ("range", "if-range", "if-none-match") if name in request.headers
        },
        is_head=request.method == "HEAD",
    )


def _answer(job: Job, order: Order, limits: Mapping[str, str]) -> Response:
    """202 with where its files will be; what is over already is shown as it is."""
    if job.status.is_end:
        status = error_of(job).status if job.status is Status.FAILED else 200
        return Response(
            msgspec.json.encode(shown(job)), status_code=status, headers=dict(limits), media_type="application/json"
        )
    urls = order.urls(job.id)
    view = {
        "job_id": job.id,
        "status": job.status.value,
        "poll_url": f"/jobs/{job.id}",
        "expected_output_url": urls[0],
        **({"expected_output_urls": urls} if order.in_chapters else {}),
        "voice": order.voice,
    }
    headers = {**limits, "location": f"/jobs/{job.id}"}
    return Response(msgspec.json.encode(view), status_code=202, headers=headers, media_type="application/json")
