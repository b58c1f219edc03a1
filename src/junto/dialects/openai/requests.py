"""The chat completions request: wire to core and back.

Fields the core has no word for are kept as extras and rendered only for upstreams of the same dialect.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from junto.core.chat import ChatRequest, Reasoning, Request, Sampling, Tool, ToolChoice
from junto.core.errors import Unsupported
from junto.dialects.decoding import decode_body, other_fields
from junto.dialects.openai.messages import WireMessage, parse_messages, render_messages
from junto.dialects.openai.peek import Name, Positive
from junto.dialects.openai.tools import (
    Mode,
    WireChoice,
    WireFormat,
    WireFunction,
    WireTool,
    allowed,
    parse_choice,
    parse_format,
    parse_function,
    parse_tools,
    render_choice,
    render_format,
    render_tool,
)

DIALECT = "openai"
type Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
_LOW_BUDGET = 2_048
_MEDIUM_BUDGET = 8_192


class SamplingBody(msgspec.Struct, kw_only=True):
    """The knobs that chat and legacy completions share; `top_k` and `min_p` are what local servers added."""

    model: Name
    stream: bool | None = None
    max_tokens: Positive | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: Positive | None = None
    user: str | None = None
    stream_options: dict[str, Any] | None = None  # read by peek
    metadata: dict[str, Any] | None = None  # the same: it is for Junto, and goes no further

    def sampling(self, max_tokens: int | None) -> Sampling:
        """The knobs in the core's words."""
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return Sampling(
            max_tokens=max_tokens,
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            seed=self.seed,
            stop=stop,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
        )


class ChatBody(SamplingBody, kw_only=True):
    """The whole body, as far as it can be translated."""

    messages: Annotated[list[WireMessage], msgspec.Meta(min_length=1)]
    max_completion_tokens: Positive | None = None
    tools: list[WireTool] | None = None
    functions: list[WireFunction] | None = None
    tool_choice: Mode | WireChoice | None = None
    function_call: Mode | WireFunctionName | None = None
    parallel_tool_calls: bool | None = None
    response_format: WireFormat | None = None
    reasoning_effort: Effort | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None


class WireFunctionName(msgspec.Struct):
    """`function_call` where it forces one."""

    name: str


_decode = msgspec.json.Decoder(ChatBody)


def parse_request(body: bytes) -> ChatRequest:
    """The canonical request; raises Unsupported for what no other wire can do."""
    return chat_request(decode_body(_decode, body), body)


def chat_request(chat: ChatBody, body: bytes) -> ChatRequest:
    """The canonical request of a decoded body."""
    refuse(n=(chat.n or 1) > 1, logprobs=chat.logprobs, modalities="audio" in (chat.modalities or ()))
    tools, choice = _parse_tools(chat)
    extras = other_fields(body, ChatBody.__struct_fields__)
    return ChatRequest(
        model=chat.model,
        messages=parse_messages(chat.messages),
        tools=tools,
        tool_choice=choice,
        format=parse_format(chat.response_format),
        reasoning=_parse_reasoning(chat.reasoning_effort),
        sampling=chat.sampling(chat.max_completion_tokens or chat.max_tokens),
        stream=chat.stream is True,
        user=chat.user,
        extras_of=DIALECT if extras else "",
        extras=extras,
    )


def refuse(**asked: bool | None) -> None:
    """Refuse the first field that was asked for and cannot be translated."""
    for name, present in asked.items():
        if present:
            raise Unsupported(f"{name} cannot be translated to the backend that serves this model.", param=name)


def _parse_tools(chat: ChatBody) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    tools = allowed(parse_tools(chat.tools or ()), chat.tool_choice)
    choice = parse_choice(chat.tool_choice, chat.parallel_tool_calls)
    if chat.functions and not tools:
        tools = tuple(map(parse_function, chat.functions))
        match chat.function_call:
            case WireFunctionName(name=name):
                choice = ToolChoice("required", name)
            case str(mode):
                choice = ToolChoice(mode)
    return tools, choice


def _parse_reasoning(effort: Effort | None) -> Reasoning | None:
    match effort:
        case None:
            return None
        case "xhigh" | "max":
            return Reasoning("high")
        case known:
            return Reasoning(known)


def render_request(request: Request, model: str, stream: bool) -> bytes:  # noqa: FBT001
    """The body for an upstream: `max_tokens` is spelled in the way that most servers know."""
    if not isinstance(request, ChatRequest):
        raise Unsupported("An embeddings request cannot be sent as a chat.")
    body: dict[str, Any] = {"model": model, "messages": render_messages(request.messages)}
    if request.tools:
        body["tools"] = [render_tool(tool) for tool in request.tools]
        if request.tool_choice is not None:
            body["tool_choice"] = render_choice(request.tool_choice)
            if request.tool_choice.parallel is not None:
                body["parallel_tool_calls"] = request.tool_choice.parallel
    if request.format is not None:
        body["response_format"] = render_format(request.format)
    if request.reasoning is not None:
        body["reasoning_effort"] = _render_effort(request.reasoning)
    if request.user is not None:
        body["user"] = request.user
    body |= render_sampling(request.sampling) | render_stream(stream)
    if request.extras_of == DIALECT:
        body = {**request.extras, **body}
    return msgspec.json.encode(body)


def render_sampling(sampling: Sampling) -> dict[str, Any]:
    """The knobs that were set."""
    return {name: value for name, value in msgspec.structs.asdict(sampling).items() if value not in {None, ()}}


def render_stream(stream: bool) -> dict[str, Any]:  # noqa: FBT001
    """How an upstream is asked to stream: always with its usage."""
    return {"stream": True, "stream_options": {"include_usage": True}} if stream else {}


def _render_effort(reasoning: Reasoning) -> str:
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget is None:
        return "medium"
    if reasoning.budget <= _LOW_BUDGET:
        return "low"
    return "medium" if reasoning.budget <= _MEDIUM_BUDGET else "high"
