"""Requests that only bring a model into memory or put it out: an empty question, with `keep_alive` 0 to unload. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from junto.dialects.decoding import check_model, decode_body
from junto.dialects.ollama.responses import head_of
from junto.dialects.wire import Rendering


class Residency(StrEnum):
    """What such a request wants; the values are the `done_reason` of its answer."""

    LOAD = "load"
    UNLOAD = "unload"


class _Question(msgspec.Struct):
    model: str
    messages: list[msgspec.Raw] | None = None
    prompt: str | None = None
    images: list[msgspec.Raw] | None = None
    keep_alive: int | float | str | None = None


_QUESTION = msgspec.json.Decoder(_Question)


def residency_of(body: bytes, *, chat: bool) -> Residency | None:
    """Whether a body of `/api/chat` or `/api/generate` asks for nothing but load or unload; None for a real question."""
    question = decode_body(_QUESTION, body)
    check_model(question.model)
    if question.messages if chat else (question.prompt or question.images):
        return None
    return Residency.UNLOAD if _is_zero(question.keep_alive) else Residency.LOAD


def render_residency(residency: Residency, rendering: Rendering, *, chat: bool) -> bytes:
    """The whole answer to such a request, which is also the one line of its stream."""
    empty: dict[str, Any] = {"message": {"role": "assistant", "content": ""}} if chat else {"response": ""}
    ending = {"done": True, "done_reason": residency.value}
    return msgspec.json.encode(head_of(rendering) | empty | ending) + b"\n"


def _is_zero(keep_alive: float | str | None) -> bool:
    """Zero as a number of seconds or as a duration (`0`, `0s`, `0m0s`)."""
    if isinstance(keep_alive, str):
        return "0" in keep_alive and not any(digit in keep_alive for digit in "123456789")
    return keep_alive == 0
