"""The canonical request: what a caller wants, free of any wire format.

Owns messages, parts, tools and sampling. Carries no ids of exchanges, no sensitivity, no routing: those travel beside it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import msgspec


class Operation(StrEnum):
    """What kind of work a request is."""

    CHAT = "chat"
    EMBED = "embed"

    @property
    def label(self) -> str:
        """What people call it."""
        return "embeddings" if self is Operation.EMBED else "chat"


class Text(msgspec.Struct, frozen=True, tag="text"):
    """Words. `cache` is an opaque cache_control object, kept for dialects that know it."""

    text: str
    cache: dict[str, Any] | None = None


class Image(msgspec.Struct, frozen=True, tag="image"):
    """A picture: either base64 `data` with its `media_type`, or a `url`; never both."""

    data: str | None = None
    media_type: str | None = None
    url: str | None = None
    detail: str | None = None


class Thinking(msgspec.Struct, frozen=True, tag="thinking"):
    """Reasoning of the model. `signature` and `redacted` are opaque and are replayed byte for byte."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None


class ToolCall(msgspec.Struct, frozen=True, tag="tool_call"):
    """The model wants a tool run. `arguments` is JSON text exactly as the model wrote it ("" counts as {})."""

    id: str
    name: str
    arguments: str = ""


class ToolResult(msgspec.Struct, frozen=True, tag="tool_result"):
    """What a tool answered; `content` holds text and images only."""

    call_id: str
    content: tuple[Text | Image, ...] = ()
    is_error: bool = False
    name: str | None = None


type Part = Text | Image | Thinking | ToolCall | ToolResult


class Role(StrEnum):
    """Who speaks. A tool's results are parts of a message with the role `tool`."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Message(msgspec.Struct, frozen=True):
    """One turn."""

    role: Role
    parts: tuple[Text | Image | Thinking | ToolCall | ToolResult, ...]
    name: str | None = None

    @property
    def text(self) -> str:
        """All of the turn's words, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class Tool(msgspec.Struct, frozen=True):
    """A function the model may call; `parameters` is a JSON schema."""

    name: str
    parameters: dict[str, Any]
    description: str | None = None
    strict: bool | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether tools may, must or must not be called; `name` forces one (with mode `required`)."""

    mode: Literal["auto", "none", "required"] = "auto"
    name: str | None = None
    parallel: bool | None = None


class Format(msgspec.Struct, frozen=True):
    """The form of the answer: any JSON object, or JSON after a schema."""

    kind: Literal["json", "json_schema"]
    schema: dict[str, Any] | None = None
    name: str = "answer"
    strict: bool | None = None


class Reasoning(msgspec.Struct, frozen=True):
    """How much the model should think: `effort` (none .. high) or a token `budget`; both None means "yes, as you like"."""

    effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    budget: int | None = None


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """Knobs of generation; None means the model's own default."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation to be continued.

    `extras` are fields that the caller's dialect has and the core has no word for, by their name on that wire;
    a dialect renders only extras that it knows to be its own (`extras_of` says whose they are).
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    format: Format | None = None
    reasoning: Reasoning | None = None
    sampling: Sampling = Sampling()
    stream: bool = False
    user: str | None = None
    extras_of: str = ""
    extras: dict[str, Any] = {}


class EmbedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Texts to be turned into vectors, answered in the same order."""

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None
    base64: bool = False
    extras_of: str = ""
    extras: dict[str, Any] = {}


type Request = ChatRequest | EmbedRequest
