"""The hot path of Ollama's bodies: a glance for routing (peek), and what little changes when a body is relayed.

Reads each body once, into few fields; what is not needed stays raw.
"""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.capability import Capability
from junto.core.usage import estimate_tokens
from junto.dialects.decoding import check_model, decode_body, decode_part, labels_of, rewritten
from junto.dialects.wire import Head

TOKENS_PER_IMAGE = 1000
_NONE = msgspec.Raw(b"")
_EMPTY = frozenset({b"", b"null", b"[]", b"{}", b'""', b"false", b'"json"'})


class _Limits(msgspec.Struct):
    num_predict: int | float | None = None


class _Glance(msgspec.Struct):
    """What peek reads of a chat, generate or embed body."""

    model: str
    stream: bool | None = None
    messages: msgspec.Raw = _NONE
    prompt: msgspec.Raw = _NONE
    system: msgspec.Raw = _NONE
    input: msgspec.Raw = _NONE
    tools: msgspec.Raw = _NONE
    format: msgspec.Raw = _NONE
    images: msgspec.Raw = _NONE
    think: bool | str | None = None
    options: _Limits | None = None
    metadata: dict[str, Any] | None = None


class _WithImages(msgspec.Struct):
    images: list[msgspec.Raw] | None = None


_GLANCE = msgspec.json.Decoder(_Glance)
_MESSAGES = msgspec.json.Decoder(list[_WithImages] | None)
_IMAGES = msgspec.json.Decoder(list[msgspec.Raw] | None)


def peek_chat(body: bytes) -> Head:
    """What routing needs of a body of `/api/chat` or `/api/generate`."""
    glance = decode_body(_GLANCE, body)
    needs = Capability.CHAT
    if bytes(glance.tools) not in _EMPTY:
        needs |= Capability.TOOLS
    if glance.think:
        needs |= Capability.REASONING
    if bytes(glance.format) not in _EMPTY:
        needs |= Capability.JSON_SCHEMA
    images = _images(glance) if b'"images"' in body else []
    tokens = len(images) * TOKENS_PER_IMAGE
    if images:
        needs |= Capability.VISION
    said = (glance.messages, glance.prompt, glance.system, glance.tools)
    characters = sum(len(memoryview(part)) for part in said) - sum(images)
    limit = glance.options.num_predict if glance.options else None
    return Head(
        model=check_model(glance.model),
        stream=glance.stream is not False,
        needs=needs,
        prompt_tokens=tokens + estimate_tokens(max(characters, 0)),
        max_tokens=int(limit) if limit is not None and limit > 0 else None,
        metadata=labels_of(glance.metadata),
    )


def peek_embed(body: bytes) -> Head:
    """What routing needs of a body of `/api/embed` or `/api/embeddings`."""
    glance = decode_body(_GLANCE, body)
    return Head(
        model=check_model(glance.model),
        needs=Capability.EMBEDDINGS,
        prompt_tokens=estimate_tokens(len(memoryview(glance.input)) + len(memoryview(glance.prompt))),
        metadata=labels_of(glance.metadata),
    )


def relay_request(body: bytes, model: str) -> bytes:
    """The body for an upstream that speaks Ollama too: another model's name, the rest as it is."""
    return rewritten(body, model)


def _images(glance: _Glance) -> list[int]:
    """The sizes in bytes of all images of a body that has a field of that name somewhere."""
    found: list[msgspec.Raw] = []
    if bytes(glance.images) not in _EMPTY:
        found += decode_part(_IMAGES, glance.images, "images") or []
    if b'"images"' in bytes(glance.messages):
        for message in decode_part(_MESSAGES, glance.messages, "messages") or []:
            found += message.images or []
    return [len(memoryview(image)) for image in found]
