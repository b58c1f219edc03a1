"""Bodies of `/messages` and the core's ChatRequest. Peeking and relaying are next door (relay.py).

Anthropic has no seed, no penalties and no min_p: these hints are left out. It refuses temperature and top_k while
thinking, temperature together with top_p, and temperatures above 1: what would be refused is left out or lowered.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from junto.core.chat import ChatRequest, EmbedRequest, Request, Sampling, ToolChoice
from junto.core.errors import Unsupported
from junto.dialects.anthropic.blocks import Content
from junto.dialects.anthropic.messages import WireTurn, parse_conversation, render_conversation
from junto.dialects.anthropic.options import (
    Thought,
    WireFormat,
    WireOutputConfig,
    WireThinking,
    WireTool,
    WireToolChoice,
    bars_thinking,
    parse_choice,
    parse_format,
    parse_reasoning,
    parse_tools,
    render_choice,
    render_reasoning,
    render_tools,
)
from junto.dialects.decoding import check_model, decode_body, other_fields

DIALECT = "anthropic"
_AS_JSON = "Answer with a single JSON object and nothing else."


class MessagesBody(msgspec.Struct, kw_only=True):
    """The body of `/messages`."""

    model: str
    messages: list[WireTurn]
    system: Content | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    tools: list[WireTool] | None = None
    tool_choice: WireToolChoice | None = None
    thinking: WireThinking | None = None
    output_config: WireOutputConfig | None = None
    output_format: WireFormat | None = None  # an earlier place of output_config.format
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    metadata: dict[str, Any] | None = None


_BODY = msgspec.json.Decoder(MessagesBody)


def parse_request(body: bytes) -> ChatRequest:
    """Read a body of `/messages` or of `/messages/count_tokens`; raises InvalidRequest errors."""
    wire = decode_body(_BODY, body)
    extras = other_fields(body, wire.__struct_fields__)
    if wire.thinking is not None and wire.thinking.display is not None:
        extras["display"] = wire.thinking.display
    user = (wire.metadata or {}).get("user_id")
    return ChatRequest(
        model=check_model(wire.model),
        messages=parse_conversation(wire.system, wire.messages),
        tools=parse_tools(wire.tools or []),
        tool_choice=parse_choice(wire.tool_choice),
        format=_format(wire),
        reasoning=parse_reasoning(wire.thinking, wire.output_config.effort if wire.output_config else None),
        sampling=Sampling(
            max_tokens=wire.max_tokens,
            temperature=wire.temperature,
            top_p=wire.top_p,
            top_k=wire.top_k,
            stop=tuple(wire.stop_sequences or ()),
        ),
        stream=bool(wire.stream),
        user=user if isinstance(user, str) else None,
        extras_of=DIALECT if extras else "",
        extras=extras,
    )


def render_request(request: Request, model: str, stream: bool) -> bytes:  # noqa: FBT001 - the signature of Wire
    """Write a body of `/messages`; a limit of tokens, which Anthropic insists on, is added where there is none."""
    if isinstance(request, EmbedRequest):
        raise Unsupported("Anthropic has no embeddings.")
    thought = render_reasoning(
        request.reasoning,
        model,
        request.sampling.max_tokens,
        barred=bars_thinking(request.messages, request.tool_choice if request.tools else None, model),
    )
    extras = dict(request.extras) if request.extras_of == DIALECT else {}
    display = extras.pop("display", None)
    system, turns = render_conversation(request.messages)
    wire: dict[str, Any] = {"model": model, "max_tokens": thought.max_tokens, "messages": turns}
    if request.format is not None and request.format.schema is None:
        system = _with_line(system, _AS_JSON)
    if system:
        wire["system"] = system
    if thought.thinking is not None:
        wire["thinking"] = thought.thinking | ({"display": display} if display and thought.enabled else {})
    wire |= _render_output(request, thought) | _render_tools(request) | _render_sampling(request.sampling, thought)
    if stream:
        wire["stream"] = True
    if request.user is not None:
        wire["metadata"] = {"user_id": request.user}
    return msgspec.json.encode(extras | wire)


def render_count(tokens: int) -> bytes:
    """Write the answer of `/messages/count_tokens`."""
    return msgspec.json.encode({"input_tokens": tokens})


def _format(wire: MessagesBody) -> Any:
    if wire.output_config is not None and wire.output_config.format is not None:
        return parse_format(wire.output_config.format, "output_config.format")
    return parse_format(wire.output_format, "output_format")


def _render_output(request: ChatRequest, thought: Thought) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if thought.effort is not None:
        config["effort"] = thought.effort
    if request.format is not None and request.format.schema is not None:
        config["format"] = {"type": "json_schema", "schema": request.format.schema}
    return {"output_config": config} if config else {}


def _render_tools(request: ChatRequest) -> dict[str, Any]:
    if not request.tools:
        return {}
    wire: dict[str, Any] = {"tools": render_tools(request.tools)}
    choice: ToolChoice | None = request.tool_choice
    if choice is not None:
        wire["tool_choice"] = render_choice(choice)
    return wire


def _render_sampling(sampling: Sampling, thought: Thought) -> dict[str, Any]:
    wire: dict[str, Any] = {}
    if not thought.enabled:
        if sampling.temperature is not None:
            wire["temperature"] = min(sampling.temperature, 1.0)
        elif sampling.top_p is not None:
            wire["top_p"] = sampling.top_p
        if sampling.top_k is not None:
            wire["top_k"] = sampling.top_k
    if sampling.stop:
        wire["stop_sequences"] = list(sampling.stop)
    return wire


def _with_line(system: str | list[dict[str, Any]], line: str) -> str | list[dict[str, Any]]:
    if isinstance(system, str):
        return f"{system}\n\n{line}"
    return [*system, {"type": "text", "text": line}] if system else line
