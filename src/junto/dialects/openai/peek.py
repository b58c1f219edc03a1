"""The few fields of a request that routing needs, by one partial decode. On the hot path.

Types are checked where Junto looks; all else is the upstream's business on relay and the codecs' on translation.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from junto.core.capability import Capability
from junto.core.usage import estimate_tokens
from junto.dialects.decoding import decode_body, labels_of
from junto.dialects.wire import Head

type Positive = Annotated[int, msgspec.Meta(ge=1)]
type Name = Annotated[str, msgspec.Meta(min_length=1)]
type Tokens = list[int]

IMAGE_PARTS = frozenset({"image_url", "input_image"})
_TOKENS_PER_IMAGE = 800
_NO_REASONING = frozenset({None, "none", "minimal"})


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None
    image_url: msgspec.Raw = msgspec.Raw()


class _Turn(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Typed(msgspec.Struct):
    type: str = ""


class _Common(msgspec.Struct, kw_only=True):
    model: Name
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Positive | None = None
    n: Positive | None = None
    metadata: dict[str, Any] | None = None

    @property
    def wants_usage(self) -> bool:
        return not self.stream or (self.stream_options is not None and bool(self.stream_options.include_usage))

    @property
    def labels(self) -> dict[str, str]:
        return labels_of(self.metadata)


class ChatHead(_Common, kw_only=True):
    """What is looked at of a chat."""

    messages: Annotated[list[_Turn], msgspec.Meta(min_length=1)]
    max_completion_tokens: Positive | None = None
    tools: list[msgspec.Raw] | None = None
    functions: list[msgspec.Raw] | None = None
    response_format: _Typed | None = None
    reasoning_effort: str | None = None


class _Completion(_Common, kw_only=True):
    prompt: str | list[str | int | Tokens]
    best_of: Positive | None = None

    @property
    def answers(self) -> int:
        """How many are generated: of each prompt the most that is asked for, whatever is shown of them."""
        prompt = self.prompt
        is_several = (
            type(prompt) is list and bool(prompt) and type(prompt[0]) is not int
        )  # integers are one prompt's tokens
        return max(self.n or 1, self.best_of or 1) * (len(prompt) if is_several else 1)


class _Embedding(msgspec.Struct, kw_only=True):
    model: Name
    input: str | Annotated[list[str | int | Tokens], msgspec.Meta(min_length=1)]
    metadata: dict[str, Any] | None = None


_decode_chat = msgspec.json.Decoder(ChatHead)
_decode_completion = msgspec.json.Decoder(_Completion)
_decode_embedding = msgspec.json.Decoder(_Embedding)


def peek_chat(body: bytes) -> Head:
    """The head of a chat completions request."""
    chat = decode_body(_decode_chat, body)
    return chat_head(chat, body, chat.model)


def chat_head(chat: ChatHead, body: bytes, model: str) -> Head:
    """The head of a decoded chat with that model."""
    needs = Capability.CHAT
    size = len(body)
    for turn in chat.messages:
        if type(turn.content) is list:
            for part in turn.content:
                if part.type in IMAGE_PARTS:
                    needs |= Capability.VISION
                    size += 4 * _TOKENS_PER_IMAGE - len(part.image_url)
    if chat.tools or chat.functions:
        needs |= Capability.TOOLS
    if chat.response_format is not None and chat.response_format.type == "json_schema":
        needs |= Capability.JSON_SCHEMA
    if chat.reasoning_effort not in _NO_REASONING:
        needs |= Capability.REASONING
    return Head(
        model=model,
        stream=chat.stream is True,
        needs=needs,
        prompt_tokens=estimate_tokens(size),
        max_tokens=_larger(chat.max_completion_tokens, chat.max_tokens),
        answers=chat.n or 1,
        wants_usage=chat.wants_usage,
        metadata=chat.labels if chat.metadata else {},
    )


def peek_completion(body: bytes) -> Head:
    """The head of a legacy completions request."""
    completion = decode_body(_decode_completion, body)
    return Head(
        model=completion.model,
        stream=completion.stream is True,
        prompt_tokens=estimate_tokens(len(body)),
        max_tokens=completion.max_tokens,
        answers=completion.answers,
        wants_usage=completion.wants_usage,
        metadata=completion.labels,
    )


def _larger(one: int | None, other: int | None) -> int | None:
    """Of two bounds the one that holds whichever of them an upstream goes by."""
    if one is None or other is None:
        return one or other
    return max(one, other)


def peek_embedding(body: bytes) -> Head:
    """The head of an embeddings request; it never streams."""
    embedding = decode_body(_decode_embedding, body)
    return Head(
        model=embedding.model,
        needs=Capability.EMBEDDINGS,
        prompt_tokens=estimate_tokens(len(body)),
        metadata=labels_of(embedding.metadata),
    )
