"""POST /v1/audio/speech: reads a request off ASGI, and writes its sound as it is made. OpenAI's shape, errors included.

Owns headers in and out, and letting go when the caller does. Decides nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from junto.core.errors import InvalidField, JuntoError, MalformedBody, Unsupported
from junto.core.sensitivity import parse_sensitivity
from junto.dialects import openai
from junto.identity.principal import ApiScope
from junto.routing.sensitivity import effective_sensitivity
from junto.speech.choosing import ENGINES
from junto.speech.encoding import AudioFormat, formats
from junto.speech.order import check_speed, one_text, parse_format
from junto.speech.recording import WIRE, Asked
from junto.speech.speaker import MODELS
from junto.web.bodies import CallerGone, read_body
from junto.web.replies import send_error
from junto.web.server import HANGUP

if TYPE_CHECKING:
    from junto.gateway.permit import Permit
    from junto.identity.principal import Principal
    from junto.speech.speaker import Saying
    from junto.web.asgi import Receive, Scope, Send
    from junto.web.services import WebServices

PATH: Final = "/v1/audio/speech"
_SHOWN: Final = 60
_LONGEST_TASK: Final = 200


class SpeechEndpoint:
    """Serves one path."""

    def __init__(self, services: WebServices) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = self._services.make_id()
        connection = scope.get("extensions", {}).get(HANGUP)
        if connection is not None:
            connection.cancel_on_hangup(asyncio.current_task())
        try:
            await self._serve(request_id, scope, receive, send)
        except CallerGone:
            return
        except asyncio.CancelledError:
            # As at the endpoints of models: nobody is left to tell, or the server stops and waits no longer.
            if connection is None:
                raise
            connection.close()
        except _BrokenOff:
            if connection is None:
                raise
            connection.close()  # without its end the caller sees that the sound is not whole
        finally:
            if connection is not None:
                connection.cancel_on_hangup(None)

    async def _serve(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        listener = _Listener(send, request_id)
        permit: Permit | None = None
        saying: Saying | None = None
        try:
            permit, saying, media_type = await self._begin(request_id, scope, receive)
            await listener.hear(saying, media_type, () if permit is None else permit.headers)
        except (CallerGone, asyncio.CancelledError):
            raise
        except Exception as error:
            refusal = error if isinstance(error, JuntoError) else JuntoError("Something went wrong inside Junto.")
            if not isinstance(error, JuntoError):
                structlog.get_logger().exception("request_failed", request_id=request_id)
            self._services.refusals.request_refused(status=refusal.status, code=refusal.code)
            if listener.has_begun:
                raise _BrokenOff from error
            await send_error(send, openai.CHAT, refusal, request_id, started=False)
        finally:
            if saying is not None:
                await saying.close()
            if permit is not None:
                permit.settle(0 if saying is None else saying.characters)

    async def _begin(self, request_id: str, scope: Scope, receive: Receive) -> tuple[Permit | None, Saying, str]:
        services = self._services
        headers = _headers(scope)
        principal = await services.authenticator().caller(
            headers.get(b"authorization"), headers.get(b"x-api-key"), ApiScope.INFERENCE
        )
        length = headers.get(b"content-length")
        body = await read_body(receive, services.body_limit(), None if length is None else int(length))
        wish = _read(body)
        speech = services.speech
        speaker = speech.choose(wish.voice, engine=wish.model if wish.model in ENGINES else None)
        speech.check_allowed(principal, wish.model, speaker.engine.name)
        (chapter,) = await asyncio.to_thread(one_text, wish.input, most=speech.most(), param="input")
        asked = Asked(
            id=request_id,
            principal=principal,
            sensitivity=self._tier(principal, scope),
            wire=WIRE,
            model=wish.model,
            started=services.clock.monotonic(),
            started_ms=services.clock.wall_ms(),
            task_type=headers.get(b"x-junto-task", b"").decode("latin-1").strip()[:_LONGEST_TASK],
            body=body,
            stream=True,
        )
        permit = await services.admit(principal, len(chapter.text))
        try:
            saying = speech.say(chapter.text, speaker, wish.format, speed=wish.speed, asked=asked)
        except BaseException:
            if permit is not None:
                permit.settle(0)
            raise
        rate = f";rate={speaker.voice.sample_rate}" if wish.format is AudioFormat.PCM else ""
        return permit, saying, wish.format.media_type + rate

    def _tier(self, principal: Principal, scope: Scope) -> str:
        name = "X-Junto-Sensitivity"
        said = [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name.lower().encode()]
        tiers = [parse_sensitivity(label, param=name) for label in said]
        return effective_sensitivity(
            default=self._services.speech.default_tier(),
            principal_min=principal.min_sensitivity,
            asked_header=max(tiers) if tiers else None,
        ).label


class _BrokenOff(Exception):
    """The sound broke off after it had begun."""


class _Wish(msgspec.Struct, frozen=True):
    model: str
    input: str
    voice: str | None
    format: AudioFormat
    speed: float


class _Listener:
    """Who is sent the sound. The head goes with the first piece, so that what fails before it is an ordinary error."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.has_begun = False

    async def hear(self, saying: Saying, media_type: str, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        async with aclosing(saying.pieces()) as pieces:
            async for piece in pieces:
                await self._begin(media_type, headers)
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._begin(media_type, headers)
        await self._send({"type": "http.response.body", "body": b""})

    async def _begin(self, media_type: str, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        if self.has_begun:
            return
        self.has_begun = True
        own = (
            (b"content-type", media_type.encode()),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            (b"x-junto-request-id", self._request_id.encode()),
        )
        await self._send({"type": "http.response.start", "status": 200, "headers": [*headers, *own]})


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return dict(reversed(scope["headers"]))


def _read(body: bytes) -> _Wish:
    """What is asked for; raises MalformedBody, InvalidField, Unsupported."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedBody("The body is not valid JSON.") from error
    if not isinstance(fields, dict):
        raise InvalidField("The body has to be a JSON object.")
    if fields.get("stream_format") not in ("audio", None):  # it may be anything: not all of it has a hash
        raise Unsupported(
            'Only stream_format "audio" is served here: the sound itself, as it is made.', param="stream_format"
        )
    model, text = _text(fields, "model"), _text(fields, "input")
    if model not in MODELS:
        raise InvalidField(f"There is no speech model {model[:_SHOWN]!r}: {', '.join(MODELS)}.", param="model")
    voice = fields.get("voice")
    speed = 1.0 if fields.get("speed") is None else fields["speed"]
    if isinstance(speed, bool) or not isinstance(speed, int | float):
        raise InvalidField("speed is a number.", param="speed")
    chosen = fields.get("response_format")
    chosen = AudioFormat.MP3 if chosen is None else chosen
    if not isinstance(chosen, str):
        raise InvalidField("response_format is text.", param="response_format")
    return _Wish(
        model=model,
        input=text,
        voice=None if voice is None else _text(fields, "voice"),
        format=parse_format(chosen, formats(), param="response_format"),
        speed=check_speed(float(speed)),
    )


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise InvalidField(f"{name}: it is required, and is text.", param=name)
    return value
