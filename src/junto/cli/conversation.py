"""One answer, streamed from a running Junto: asking, reading the pieces, and what there is to say about it at its end.

Shows nothing itself; pieces go to a Screen as they come. Ctrl-C while an answer streams ends the answer: the connection
closes, and Junto stops the model.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from junto.cli.remote import RemoteError, told
from junto.dialects.sse import EventTooLarge, SseDecoder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx2

    from junto.cli.remote import Junto

_PLACE = re.compile(rb": queued, place (\d+)")

type Message = dict[str, str]


class Screen(Protocol):
    """Where an answer appears."""

    def text(self, piece: str) -> None:
        """More words of the answer."""

    def thinking(self, piece: str) -> None:
        """More of the reasoning before it."""

    def waiting(self, place: int) -> None:
        """The request waits for its turn at that place of the queue."""


@dataclass(slots=True, kw_only=True)
class Answered:
    """What came of a question. Times are seconds since it was asked; token counts are None where nobody said them."""

    text: str = ""
    model: str = ""
    backend: str = ""
    is_fallback: bool = False
    tokens_in: int | None = None
    tokens_out: int | None = None
    first: float | None = None
    seconds: float = 0.0
    stopped: bool = False
    failure: str = ""
    _pieces: list[str] = field(default_factory=list, repr=False)

    def summary(self) -> str:
        """One line: who answered, with how many tokens, in what time."""
        who = f"{self.model} on {self.backend}" if self.model else "unknown model"
        parts = [f"{who} (fallback)" if self.is_fallback else who]
        if self.tokens_in is not None and self.tokens_out is not None:
            parts.append(f"{self.tokens_in} tokens in, {self.tokens_out} out")
        first = "" if self.first is None else f", first word after {self.first:.1f} s"
        parts.append(f"{self.seconds:.1f} s{first}")
        if self.stopped:
            parts.append("stopped")
        return " · ".join(parts)


def ask(
    junto: Junto,
    model: str,
    messages: Sequence[Message],
    screen: Screen,
    *,
    headers: Mapping[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Answered:
    """Ask and show the answer while it comes; raises RemoteError when none begins. What was said stays if it breaks off."""
    body = {"model": model, "messages": list(messages), "stream": True, "stream_options": {"include_usage": True}}
    answered = Answered()
    started = clock()
    try:
        with junto.stream("/v1/chat/completions", body, headers or {}) as response:
            _note_who(answered, response.headers)
            for chunk in chunks_of(response, screen.waiting):
                if _show(chunk, answered, screen) and answered.first is None:
                    answered.first = clock() - started
    except KeyboardInterrupt:
        answered.stopped = True
    except RemoteError as error:
        if answered.first is None:
            raise
        answered.failure = str(error)
    answered.seconds = clock() - started
    answered.text = "".join(answered._pieces)  # noqa: SLF001  its own
    return answered


def _note_who(answered: Answered, headers: httpx2.Headers) -> None:
    answered.model = headers.get("x-junto-model", "")
    answered.backend = headers.get("x-junto-backend", "")
    answered.is_fallback = "x-fallback-model" in headers


def chunks_of(response: httpx2.Response, waiting: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream, until it says that it is done; `waiting` is told of places in the queue."""
    decoder = SseDecoder()
    for piece in response.iter_bytes():
        if place := _PLACE.match(piece):
            waiting(int(place[1]))
        try:
            events = decoder.feed(piece)
        except EventTooLarge:
            raise RemoteError("The answer is not one that a chat gives.") from None
        for event in events:
            if event.data == b"[DONE]":
                return
            chunk = _object(event.data)
            if chunk is not None:
                yield chunk


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _show(chunk: dict[str, Any], answered: Answered, screen: Screen) -> bool:
    """Show what a chunk says; whether it said anything."""
    if chunk.get("error"):
        raise RemoteError(told(chunk["error"]))
    usage = chunk.get("usage") or {}
    if usage:
        answered.tokens_in, answered.tokens_out = usage.get("prompt_tokens"), usage.get("completion_tokens")
    answered.model = answered.model or str(chunk.get("model") or "")
    spoke = False
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        if thinking := delta.get("reasoning_content") or delta.get("reasoning"):
            screen.thinking(thinking)
            spoke = True
        if text := delta.get("content"):
            screen.text(text)
            answered._pieces.append(text)  # noqa: SLF001  its own
            spoke = True
    return spoke
