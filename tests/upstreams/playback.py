"""Play a planned answer on an exchange: delays, gates, pieces, failures; the same for every dialect.

A dialect renders the planned answer to bytes first; nothing here knows what they mean.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.upstreams.connection import Exchange
from tests.upstreams.plan import Fail, Scripted
from tests.upstreams.received import POLL


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswer:
    """A failure in a dialect's words: HTTP status, JSON body, headers."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A planned answer in a dialect's words.

    `whole` is the JSON of an unstreamed answer. A stream is `opening`, the content-bearing `pieces`, `closing`.
    """

    whole: Any
    opening: bytes
    pieces: tuple[bytes, ...]
    closing: bytes
    content_type: str
    mid_stream_error: bytes


type Render = Callable[[Scripted], Rendered]
type RenderError = Callable[[Fail], ErrorAnswer]


async def play(exchange: Exchange, answer: Scripted, *, stream: bool, render: Render, error: RenderError) -> None:
    """Answer an inference request as planned."""
    if not await held_up(exchange, answer, error):
        return
    rendered = render(answer)
    if stream:
        await play_stream(exchange, answer, rendered)
    elif answer.fail is not None:
        await break_whole(exchange, answer.fail, rendered, error(answer.fail))
    else:
        if answer.gate is not None and answer.gate_after is not None:
            await opened(answer)
        await exchange.send_json(200, rendered.whole, answer.headers)


async def play_planned(
    exchange: Exchange, answer: Scripted | None, error: RenderError, otherwise: Callable[[], Awaitable[None]]
) -> None:
    """Answer a request without content (a list, a probe): only delay, gate and failure of a plan apply to it."""
    if answer is None or await held_up(exchange, answer, error):
        await otherwise()


async def held_up(exchange: Exchange, answer: Scripted, error: RenderError) -> bool:
    """Wait and fail as planned for the time before the head; False where the answer has ended with that."""
    if answer.delay:
        await asyncio.sleep(answer.delay)
    if answer.gate is not None and answer.gate_after is None:
        await opened(answer)
    fail = answer.fail
    if fail is None or fail.after is not None:
        return True
    if fail.how == "error":
        refused = error(fail)
        retry = {"Retry-After": fail.retry_after} if fail.retry_after is not None else {}
        await exchange.send_json(refused.status, refused.body, {**refused.headers, **retry, **answer.headers})
    else:
        await break_off(exchange, fail)
    return False


async def play_stream(exchange: Exchange, answer: Scripted, rendered: Rendered) -> None:
    """Send the pieces with their gaps, and break where planned."""
    await exchange.start(200, rendered.content_type, answer.headers)
    await exchange.write(rendered.opening)
    for number, piece in enumerate(rendered.pieces):
        if await stopped_at(exchange, answer, number, rendered):
            return
        if answer.gap and number:
            await asyncio.sleep(answer.gap)
        await exchange.write(piece)
        exchange.received.pieces_sent += 1
    if await stopped_at(exchange, answer, len(rendered.pieces), rendered):
        return
    await exchange.write(rendered.closing)
    await exchange.finish()


async def stopped_at(exchange: Exchange, answer: Scripted, number: int, rendered: Rendered) -> bool:
    """Pass the gate before a piece, and fail there if that is the plan; failures beyond the end come at the end."""
    last = len(rendered.pieces)
    if answer.gate_after is not None and min(answer.gate_after, last) == number:
        await opened(answer)
    fail = answer.fail
    if fail is None or fail.after is None or min(fail.after, last) != number:
        return False
    if fail.how == "error":
        await exchange.write(rendered.mid_stream_error)
        await exchange.finish()
    elif fail.how == "truncate":
        await exchange.finish()
    else:
        await break_off(exchange, fail)
    return True


async def break_whole(exchange: Exchange, fail: Fail, rendered: Rendered, refused: ErrorAnswer) -> None:
    """Break an unstreamed answer in the middle of its body; an `error` is a plain error answer."""
    if fail.how == "error":
        await exchange.send_json(refused.status, refused.body, refused.headers)
        return
    body = json.dumps(rendered.whole).encode()
    half = body[: len(body) // 2]
    if fail.how == "truncate":
        await exchange.send(200, half, "application/json")
        return
    await exchange.send_part(200, half, len(body), "application/json")
    await break_off(exchange, fail)


async def break_off(exchange: Exchange, fail: Fail) -> None:
    """End the connection in the planned way, or say nothing more until the caller leaves."""
    match fail.how:
        case "reset":
            # Bytes still on their way would be thrown away with the reset: let the caller see them first.
            await asyncio.sleep(0.01)
            exchange.reset()
        case "hang":
            await asyncio.Event().wait()
        case _:
            exchange.close()


async def opened(answer: Scripted) -> None:
    """Wait at the gate of an answer."""
    while answer.gate is not None and not answer.gate.is_open:  # noqa: ASYNC110 - opened by another thread
        await asyncio.sleep(POLL)
