"""Bodies of `/api/chat` and `/api/generate`, and the core's ChatRequest. Peeking and relaying are next door (relay.py)."""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.chat import ChatRequest, EmbedRequest, Image, Message, Request, Role, Text, ToolChoice
from junto.core.errors import Unsupported
from junto.dialects.decoding import check_model, decode_body, other_fields
from junto.dialects.ollama.messages import (
    WireMessage,
    WireTool,
    parse_image,
    parse_messages,
    parse_tools,
    render_image,
    render_messages,
    render_tools,
)
from junto.dialects.ollama.options import (
    parse_format,
    parse_options,
    parse_think,
    render_format,
    render_options,
    render_think,
)

DIALECT = "ollama"


class Common(msgspec.Struct, kw_only=True):
    """The fields that both bodies have."""

    model: str
    stream: bool | None = None
    format: Any = None
    think: bool | str | None = None
    options: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None  # read by peek: it is for Junto, and goes no further


class ChatBody(Common, kw_only=True):
    """The body of `/api/chat`."""

    messages: list[WireMessage] | None = None
    tools: list[WireTool] | None = None


class GenerateBody(Common, kw_only=True):
    """The body of `/api/generate`, with the fields that only a relay can serve."""

    prompt: str | None = None
    system: str | None = None
    images: list[str] | None = None
    raw: bool | None = None
    suffix: str | None = None
    template: str | None = None
    context: list[int] | None = None


_CHAT = msgspec.json.Decoder(ChatBody)
_GENERATE = msgspec.json.Decoder(GenerateBody)
_RELAY_ONLY = ("raw", "suffix", "template", "context")


def parse_chat(body: bytes) -> ChatRequest:
    """Read a body of `/api/chat`; raises InvalidRequest errors."""
    chat = decode_body(_CHAT, body)
    return _request(body, chat, parse_messages(chat.messages or []), parse_tools(chat.tools or []))


def parse_generate(body: bytes) -> ChatRequest:
    """Read a body of `/api/generate`; raises Unsupported for what no other dialect has a word for."""
    generate = decode_body(_GENERATE, body)
    for name in _RELAY_ONLY:
        if getattr(generate, name):
            raise Unsupported(f"`{name}` is only served by an Ollama backend.", param=name)
    messages: list[Message] = []
    if generate.system:
        messages.append(Message(Role.SYSTEM, (Text(generate.system),)))
    images = tuple(map(parse_image, generate.images or []))
    text = (Text(generate.prompt),) if generate.prompt else ()
    if text or images:
        messages.append(Message(Role.USER, (*text, *images)))
    return _request(body, generate, tuple(messages), ())


def render_chat(request: Request, model: str, stream: bool) -> bytes:  # noqa: FBT001 - the signature of Wire
    """Write a body of `/api/chat`; a tool choice of `none` leaves the tools out, `required` cannot be enforced here."""
    chat = _chat_only(request)
    wire: dict[str, Any] = {"model": model, "messages": render_messages(chat.messages)}
    if chat.tools and (chat.tool_choice or ToolChoice()).mode != "none":
        wire["tools"] = render_tools(chat.tools)
    return msgspec.json.encode(wire | _render_common(chat, stream=stream))


def render_generate(request: Request, model: str, stream: bool) -> bytes:  # noqa: FBT001 - the signature of Wire
    """Write a body of `/api/generate`; raises Unsupported for more than one question."""
    chat = _chat_only(request)
    system = "\n".join(message.text for message in chat.messages if message.role is Role.SYSTEM)
    turns = [message for message in chat.messages if message.role is not Role.SYSTEM]
    if len(turns) > 1 or any(turn.role is not Role.USER for turn in turns) or chat.tools:
        raise Unsupported("A conversation does not fit into /api/generate.", param="messages")
    parts = turns[0].parts if turns else ()
    wire: dict[str, Any] = {
        "model": model,
        "prompt": "\n".join(part.text for part in parts if isinstance(part, Text)),
    }
    if system:
        wire["system"] = system
    images = [render_image(part, "images") for part in parts if isinstance(part, Image)]
    if images:
        wire["images"] = images
    return msgspec.json.encode(wire | _render_common(chat, stream=stream))


def _request(body: bytes, common: Common, messages: tuple[Message, ...], tools: tuple[Any, ...]) -> ChatRequest:
    sampling, rest = parse_options(common.options or {})
    extras = other_fields(body, common.__struct_fields__)
    if rest:
        extras["options"] = rest
    return ChatRequest(
        model=check_model(common.model),
        messages=messages,
        tools=tools,
        format=parse_format(common.format),
        reasoning=parse_think(common.think),
        sampling=sampling,
        stream=common.stream is not False,
        extras_of=DIALECT if extras else "",
        extras=extras,
    )


def _render_common(request: ChatRequest, *, stream: bool) -> dict[str, Any]:
    extras = dict(request.extras) if request.extras_of == DIALECT else {}
    options = render_options(request.sampling, extras.pop("options", {}))
    wire: dict[str, Any] = {"stream": stream}
    if request.format is not None:
        wire["format"] = render_format(request.format)
    if request.reasoning is not None:
        wire["think"] = render_think(request.reasoning)
    if options:
        wire["options"] = options
    return extras | wire


def _chat_only(request: Request) -> ChatRequest:
    if isinstance(request, EmbedRequest):
        raise Unsupported("Embeddings are asked for at /api/embed.")
    return request
