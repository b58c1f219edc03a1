"""`/api/embed` in both directions, and the older `/api/embeddings`, which takes one prompt and answers one vector."""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.chat import ChatRequest, EmbedRequest, Request
from junto.core.completion import Completion, Embeddings
from junto.core.errors import FailureKind, Unsupported, UpstreamFailure
from junto.core.usage import Usage
from junto.dialects.decoding import check_model, decode_answer, decode_body, other_fields
from junto.dialects.ollama.requests import DIALECT
from junto.dialects.wire import Rendering


class EmbedBody(msgspec.Struct):
    """The body of `/api/embed`."""

    model: str
    input: str | list[str] = ""
    dimensions: int | None = None


class EmbeddingsBody(msgspec.Struct):
    """The body of `/api/embeddings`."""

    model: str
    prompt: str = ""


class _Vectors(msgspec.Struct):
    model: str = ""
    embeddings: list[tuple[float, ...]] | None = None
    embedding: tuple[float, ...] | None = None
    prompt_eval_count: int | None = None


_EMBED = msgspec.json.Decoder(EmbedBody)
_EMBEDDINGS = msgspec.json.Decoder(EmbeddingsBody)
_VECTORS = msgspec.json.Decoder(_Vectors)


def parse_embed(body: bytes) -> EmbedRequest:
    """Read a body of `/api/embed`; raises InvalidRequest errors."""
    embed = decode_body(_EMBED, body)
    inputs = (embed.input,) if isinstance(embed.input, str) else tuple(embed.input)
    extras = other_fields(body, EmbedBody.__struct_fields__)
    return EmbedRequest(
        model=check_model(embed.model),
        inputs=inputs,
        dimensions=embed.dimensions,
        extras_of=DIALECT if extras else "",
        extras=extras,
    )


def parse_embeddings(body: bytes) -> EmbedRequest:
    """Read a body of `/api/embeddings`; raises InvalidRequest errors."""
    embed = decode_body(_EMBEDDINGS, body)
    extras = other_fields(body, EmbeddingsBody.__struct_fields__)
    return EmbedRequest(
        model=check_model(embed.model), inputs=(embed.prompt,), extras_of=DIALECT if extras else "", extras=extras
    )


def render_embed(request: Request, model: str, stream: bool) -> bytes:  # noqa: ARG001, FBT001 - the signature of Wire
    """Write a body of `/api/embed`."""
    embed = _embed_only(request)
    wire: dict[str, Any] = {"model": model, "input": list(embed.inputs)}
    if embed.dimensions is not None:
        wire["dimensions"] = embed.dimensions
    return msgspec.json.encode((embed.extras if embed.extras_of == DIALECT else {}) | wire)


def render_embeddings(request: Request, model: str, stream: bool) -> bytes:  # noqa: ARG001, FBT001 - the signature of Wire
    """Write a body of `/api/embeddings`; raises Unsupported for more than one input."""
    embed = _embed_only(request)
    if len(embed.inputs) != 1:
        raise Unsupported("/api/embeddings takes one prompt.", param="input")
    wire = {"model": model, "prompt": embed.inputs[0]}
    return msgspec.json.encode((embed.extras if embed.extras_of == DIALECT else {}) | wire)


def parse_vectors(body: bytes) -> Embeddings:
    """Read the answer of either endpoint; raises UpstreamFailure(PROTOCOL)."""
    answer = decode_answer(_VECTORS, body)
    vectors = answer.embeddings
    if vectors is None and answer.embedding is not None:
        vectors = [answer.embedding]
    if vectors is None:
        raise UpstreamFailure(FailureKind.PROTOCOL, "an answer without embeddings")
    count = answer.prompt_eval_count
    usage = None if count is None else Usage.checked(input=count)
    return Embeddings(vectors=tuple(vectors), usage=usage, model=answer.model)


def render_vectors(answer: Completion | Embeddings, rendering: Rendering) -> bytes:
    """Write the answer of `/api/embed`."""
    vectors = _embeddings_only(answer)
    prompt = vectors.usage.prompt if vectors.usage else 0
    return msgspec.json.encode(
        {
            "model": rendering.model,
            "embeddings": vectors.vectors,
            "total_duration": 0,
            "load_duration": 0,
            "prompt_eval_count": prompt,
        }
    )


def render_vector(answer: Completion | Embeddings, rendering: Rendering) -> bytes:  # noqa: ARG001 - the signature of Wire
    """Write the answer of `/api/embeddings`."""
    vectors = _embeddings_only(answer).vectors
    return msgspec.json.encode({"embedding": vectors[0] if vectors else ()})


def _embed_only(request: Request) -> EmbedRequest:
    if isinstance(request, ChatRequest):
        raise Unsupported("A conversation does not fit into an embeddings request.")
    return request


def _embeddings_only(answer: Completion | Embeddings) -> Embeddings:
    if isinstance(answer, Completion):
        raise Unsupported("The answer is a text, not embeddings.")
    return answer
