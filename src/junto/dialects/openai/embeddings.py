"""Embeddings: texts in, vectors out, as numbers or as base64 of little-endian 32-bit floats."""

from __future__ import annotations

import sys
from array import array
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from junto.core.chat import EmbedRequest, Request
from junto.core.completion import Completion, Embeddings
from junto.core.errors import FailureKind, Unsupported, UpstreamFailure
from junto.dialects.decoding import decode_body, other_fields
from junto.dialects.openai.chunks import UNREADABLE
from junto.dialects.openai.errors import failure_of
from junto.dialects.openai.peek import Name, Positive, Tokens
from junto.dialects.openai.requests import DIALECT
from junto.dialects.openai.usage import parse_usage

if TYPE_CHECKING:
    from junto.dialects.wire import EventParser, EventRenderer, Rendering, Tap


class EmbeddingBody(msgspec.Struct, kw_only=True):
    """The whole body, as far as it can be translated."""

    model: Name
    input: str | Annotated[list[str | int | Tokens], msgspec.Meta(min_length=1)]
    dimensions: Positive | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    index: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Vector] | None = None
    model: Any = None
    usage: Any = None
    error: Any = None


_decode = msgspec.json.Decoder(EmbeddingBody)
_decode_answer = msgspec.json.Decoder(_Answer).decode


def parse_request(body: bytes) -> EmbedRequest:
    """The canonical request; token ids belong to one model's vocabulary and are Unsupported."""
    asked = decode_body(_decode, body)
    texts = [asked.input] if isinstance(asked.input, str) else asked.input
    inputs = tuple(text for text in texts if isinstance(text, str))
    if len(inputs) != len(texts):
        raise Unsupported(
            "Token ids cannot be translated to the backend that serves this model: send text.", param="input"
        )
    extras = other_fields(body, EmbeddingBody.__struct_fields__)
    if asked.user is not None:
        extras["user"] = asked.user
    return EmbedRequest(
        model=asked.model,
        inputs=inputs,
        dimensions=asked.dimensions,
        base64=asked.encoding_format == "base64",
        extras_of=DIALECT if extras else "",
        extras=extras,
    )


def render_request(request: Request, model: str, stream: bool) -> bytes:  # noqa: FBT001
    """The body for an upstream; embeddings do not stream, so `stream` says nothing here."""
    if not isinstance(request, EmbedRequest) or stream:
        raise Unsupported("Only texts, and no stream, can be asked of an embeddings endpoint.")
    body: dict[str, Any] = {"model": model, "input": request.inputs}
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if request.base64:
        body["encoding_format"] = "base64"
    if request.extras_of == DIALECT:
        body = {**request.extras, **body}
    return msgspec.json.encode(body)


def parse_response(body: bytes) -> Embeddings:
    """The vectors, in the order of the inputs whatever order they came in."""
    try:
        answer = _decode_answer(body)
        if answer.error:
            raise failure_of({"error": answer.error})
        if answer.data is None:
            raise UpstreamFailure(FailureKind.PROTOCOL, "an answer without data")
        indexed = [(at if vector.index is None else vector.index, vector) for at, vector in enumerate(answer.data)]
        indexed.sort(key=lambda pair: pair[0])
        vectors = tuple(_numbers(vector.embedding) for _, vector in indexed)
    except (*UNREADABLE, ValueError) as error:
        raise UpstreamFailure(FailureKind.PROTOCOL, f"unreadable answer: {type(error).__name__}") from None
    name = answer.model if isinstance(answer.model, str) else ""
    return Embeddings(vectors=vectors, usage=parse_usage(answer.usage), model=name)


def render_response(answer: Completion | Embeddings, rendering: Rendering) -> bytes:
    """The body of an embeddings answer."""
    if isinstance(answer, Completion):
        raise TypeError("a chat completion is no embedding")
    tokens = answer.usage.prompt if answer.usage else 0
    body = {
        "object": "list",
        "data": [
            {"object": "embedding", "index": at, "embedding": _packed(vector) if rendering.base64 else vector}
            for at, vector in enumerate(answer.vectors)
        ],
        "model": rendering.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return msgspec.json.encode(body)


def no_event_parser() -> EventParser:
    """Embeddings are never streamed."""
    raise Unsupported("Embeddings are not streamed.")


def no_event_renderer(_rendering: Rendering) -> EventRenderer:
    """Embeddings are never streamed."""
    raise Unsupported("Embeddings are not streamed.")


def no_stream_tap(_wants_usage: bool) -> Tap:  # noqa: FBT001
    """Embeddings are never streamed."""
    raise Unsupported("Embeddings are not streamed.")


def _numbers(embedding: list[float] | str) -> tuple[float, ...]:
    if not isinstance(embedding, str):
        return tuple(embedding)
    floats = array("f")
    floats.frombytes(b64decode(embedding, validate=True))
    if sys.byteorder == "big":
        floats.byteswap()
    return tuple(floats)


def _packed(vector: tuple[float, ...]) -> str:
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode("ascii")
