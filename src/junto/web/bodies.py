"""Receiving a request's body within its bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.core.errors import BodyTooLarge
from junto.web.cycle import read_whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from junto.web.asgi import Message, Receive


class CallerGone(Exception):
    """The caller hung up before its request was complete."""


def body_at_hand(receive: Receive, limit: int) -> bytes | None:
    """The whole body if it is here already, without a wait; None if it has to be read. Raises BodyTooLarge."""
    body = read_whole(receive)
    if body is not None and len(body) > limit:
        raise _too_large(limit)
    return body


async def read_body(receive: Receive, limit: int, declared: int | None) -> bytes:
    """The whole body; raises BodyTooLarge over the limit (at once when its length is declared), CallerGone."""
    if declared is not None and declared > limit:
        raise _too_large(limit)
    body = body_at_hand(receive, limit)
    return await _received(receive, limit) if body is None else body


async def checked_body(request: Request, limit: int) -> bytes:
    """The whole body of a control-plane request, within the limit."""
    length = request.headers.get("content-length")
    return await read_body(request.receive, limit, int(length) if length is not None else None)


def known_beyond(receive: Receive, most: int, known: Callable[[], Awaitable[None]]) -> Receive:
    """The same `receive`, which asks `known` once, and raises what it raises, before it gives more than so many bytes.

    For readers that parse a body before they ask who sends it: what a stranger sends may cost no more than a moment.
    """
    size = 0

    async def receive_of_the_known() -> Message:
        nonlocal size
        message = await receive()
        was, size = size, size + len(message.get("body", b""))
        if was <= most < size:
            await known()
        return message

    return receive_of_the_known


def bounded(receive: Receive, limit: int) -> Receive:
    """The same `receive`, which raises BodyTooLarge once more than the limit was read: for readers that know no bounds."""
    size = 0

    async def receive_within() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        return message

    return receive_within


async def _received(receive: Receive, limit: int) -> bytes:
    pieces = []
    size = 0
    more = True
    while more:
        if size > limit:
            raise _too_large(limit)
        message = await receive()
        if message["type"] != "http.request":
            raise CallerGone
        piece = message.get("body", b"")
        pieces.append(piece)
        size += len(piece)
        more = message.get("more_body", False)
    if size > limit:
        raise _too_large(limit)
    return b"".join(pieces)


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is over the limit of {limit // (1024 * 1024)} MiB (server.max_body_mb).")
