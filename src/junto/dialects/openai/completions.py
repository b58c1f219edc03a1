"""Legacy text completions: a prompt is a conversation of one message by the user.

What has no place in a conversation (several prompts, token ids, echo, suffix, logprobs) is relayed or refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.chat import ChatRequest, Message, Request, Role, Text
from junto.core.completion import Completion, Embeddings
from junto.core.errors import Unsupported
from junto.core.events import Finish
from junto.dialects.decoding import decode_body, other_fields
from junto.dialects.openai.chunks import finish_reason
from junto.dialects.openai.peek import Positive, Tokens
from junto.dialects.openai.requests import (
    DIALECT,
    SamplingBody,
    refuse,
    render_sampling,
    render_stream,
)
from junto.dialects.openai.responses import read_answer
from junto.dialects.openai.stream import text_reason
from junto.dialects.openai.usage import parse_usage, render_usage

if TYPE_CHECKING:
    from junto.dialects.wire import Rendering


class CompletionBody(SamplingBody, kw_only=True):
    """The whole body, as far as it can be translated."""

    prompt: str | list[str | int | Tokens]
    suffix: str | None = None
    echo: bool | None = None
    logprobs: int | None = None
    best_of: Positive | None = None


_decode = msgspec.json.Decoder(CompletionBody)


def parse_request(body: bytes) -> ChatRequest:
    """The canonical request; raises Unsupported for what no other wire can do."""
    asked = decode_body(_decode, body)
    refuse(
        n=(asked.n or 1) > 1,
        best_of=(asked.best_of or 1) > 1,
        suffix=bool(asked.suffix),
        echo=asked.echo,
        logprobs=asked.logprobs is not None,
    )
    extras = other_fields(body, CompletionBody.__struct_fields__)
    return ChatRequest(
        model=asked.model,
        messages=(Message(Role.USER, (Text(_the_prompt(asked.prompt)),)),),
        sampling=asked.sampling(asked.max_tokens),
        stream=asked.stream is True,
        user=asked.user,
        extras_of=DIALECT if extras else "",
        extras=extras,
    )


def _the_prompt(prompt: str | list[str | int | Tokens]) -> str:
    if isinstance(prompt, str):
        return prompt
    match prompt:
        case [str(only)]:
            return only
        case _:
            raise Unsupported(
                "Several prompts, or token ids, cannot be translated to the backend that serves this model.",
                param="prompt",
            )


def render_request(request: Request, model: str, stream: bool) -> bytes:  # noqa: FBT001
    """The body for an upstream; raises Unsupported for a conversation that is more than a prompt."""
    match request:
        case ChatRequest(messages=(Message(role=Role.USER, parts=(Text(prompt),)),), tools=(), format=None):
            body: dict[str, Any] = {"model": model, "prompt": prompt}
        case _:
            raise Unsupported("Only a single prompt can be sent as a text completion.")
    if request.user is not None:
        body["user"] = request.user
    body |= render_sampling(request.sampling) | render_stream(stream)
    if request.extras_of == DIALECT:
        body = {**request.extras, **body}
    return msgspec.json.encode(body)


def parse_response(body: bytes) -> Completion:
    """The answer: words only."""
    answer, choice = read_answer(body)
    return Completion(
        parts=(Text(choice.text),) if choice.text else (),
        reason=finish_reason(choice.finish_reason, called=False),
        usage=parse_usage(answer.usage),
        model=answer.name,
        id=answer.key,
    )


def render_response(answer: Completion | Embeddings, rendering: Rendering) -> bytes:
    """The body of a text completion."""
    if isinstance(answer, Embeddings):
        raise TypeError("embeddings are no text completion")
    reason = text_reason(Finish(answer.reason))
    body: dict[str, Any] = {
        "id": rendering.id,
        "object": "text_completion",
        "created": rendering.created,
        "model": rendering.model,
        "choices": [{"index": 0, "text": answer.text, "logprobs": None, "finish_reason": reason}],
    }
    if answer.usage is not None:
        body["usage"] = render_usage(answer.usage)
    return msgspec.json.encode(body)
