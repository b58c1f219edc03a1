"""Writing answers and errors as ASGI messages."""

from __future__ import annotations

import math
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from junto.core.errors import JuntoError, RateLimited
from junto.dialects.wire import Rendering
from junto.web.cycle import piece_writer, write_whole

if TYPE_CHECKING:
    from junto.dialects.wire import Wire
    from junto.gateway.answer import Answer
    from junto.web.asgi import Send
    from junto.web.outbox import Outbox


_WHOLE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\n%bx-junto-request-id: %b\r\n"


async def send_whole(send: Send, answer: Answer, wire: Wire, request_id: str, outbox: Outbox) -> None:
    """An answer in one body, whose record is committed before the first byte of it is written."""
    body = await answer.read()
    head = _WHOLE_HEAD % (answer.content_type.encode(), answer.head_lines(), request_id.encode())
    if write_whole(send, head, body, outbox, partial(_refusal, wire, request_id)):
        return
    try:
        outbox.commit()
    except JuntoError as error:
        await send_error(send, wire, error, request_id, started=False)
        return
    headers = answer.headers()
    headers += (
        (b"content-type", answer.content_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"x-junto-request-id", request_id.encode()),
    )
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_stream(send: Send, answer: Answer, request_id: str, *, started: bool) -> None:
    """An answer piece by piece, each as soon as it is there; `started`: the head was sent while waiting."""
    if not started:
        headers = answer.headers()
        headers += (
            (b"content-type", answer.content_type.encode()),
            (b"cache-control", b"no-cache"),
            (b"x-accel-buffering", b"no"),
            (b"x-junto-request-id", request_id.encode()),
        )
        await send({"type": "http.response.start", "status": 200, "headers": headers})
    write_piece = piece_writer(send)
    read = answer.read
    while piece := await read():
        if write_piece is not None and write_piece(piece):
            await answer.pump(write_piece)
        else:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def send_error(send: Send, wire: Wire, error: JuntoError, request_id: str, *, started: bool) -> None:
    """An error in the caller's dialect; inside the stream when its head has gone out already."""
    if started:
        body = wire.event_renderer(Rendering(id=request_id, model="", created=0)).error(error)
    else:
        body = wire.render_error(error)
        headers = [*_error_head(body, request_id), *error_headers(error)]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _refusal(wire: Wire, request_id: str, error: JuntoError) -> bytes:
    """An error as the bytes of a whole HTTP response."""
    body = wire.render_error(error)
    lines = [b"HTTP/1.1 %d %b\r\n" % (error.status, HTTPStatus(error.status).phrase.encode())]
    lines += [b"%b: %b\r\n" % header for header in (*_error_head(body, request_id), *error_headers(error))]
    return b"".join((*lines, b"\r\n", body))


def _error_head(body: bytes, request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-junto-request-id", request_id.encode()),
    ]


def error_headers(error: JuntoError) -> list[tuple[bytes, bytes]]:
    """What an error says in headers: when to come back, and how a limit stands."""
    headers = []
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after))))
    if isinstance(error, RateLimited) and error.used_up is not None:
        kind, stands = error.used_up.kind.encode(), error.used_up
        headers += (
            (b"x-ratelimit-limit-" + kind, b"%d" % stands.limit),
            (b"x-ratelimit-remaining-" + kind, b"%d" % max(0, stands.remaining)),
            (b"x-ratelimit-reset-" + kind, b"%ds" % math.ceil(stands.reset)),
        )
    return headers
