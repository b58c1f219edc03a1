"""The native request: wire to core and back. Messages and tools have the shape of chat completions.

This wire is Junto's own, so a field that it does not know is a mistake of the caller's and is refused.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from junto.core.capability import Capability
from junto.core.chat import ChatRequest, Request, Sampling
from junto.core.errors import Unsupported
from junto.core.sensitivity import parse_sensitivity
from junto.core.usage import estimate_tokens
from junto.dialects.amendment import Amended, Amendment, bound, fill, prompt_first
from junto.dialects.closing import close_messages, drop_tools
from junto.dialects.decoding import decode_body, fields_of, labels_of, rewritten
from junto.dialects.openai.messages import WireMessage, parse_messages, render_messages
from junto.dialects.openai.peek import IMAGE_PARTS, Name, Positive
from junto.dialects.openai.tools import WireTool, parse_tools, render_tool
from junto.dialects.wire import Head

DIALECT = "native"


class NativeBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole body; `tenant_id`, `sensitivity` and `task_type` are for Junto and never reach a model."""

    model: Name
    messages: Annotated[list[WireMessage], msgspec.Meta(min_length=1)]
    tools: list[WireTool] | None = None
    tenant_id: str | None = None
    sensitivity: str | None = None
    task_type: str | None = None
    metadata: dict[str, Any] | None = None
    max_tokens: Positive | None = None
    temperature: float | None = None


_decoder = msgspec.json.Decoder(NativeBody)


def peek(body: bytes, *, stream: bool) -> Head:
    """The head; what the body says beside `metadata` about task and tenant goes before what is said in it.

    Of two sensitivities the stricter one counts.
    """
    asked = decode_body(_decoder, body)
    needs = Capability.CHAT
    if any(_shows_image(message) for message in asked.messages):
        needs |= Capability.VISION
    if asked.tools:
        needs |= Capability.TOOLS
    labels = labels_of(asked.metadata)
    sensitivity = _stricter(asked.sensitivity, labels.get("sensitivity"))
    own = {"tenant_id": asked.tenant_id, "sensitivity": sensitivity, "task_type": asked.task_type}
    return Head(
        model=asked.model,
        stream=stream,
        needs=needs,
        prompt_tokens=estimate_tokens(len(body)),
        max_tokens=asked.max_tokens,
        metadata=labels | {key: value for key, value in own.items() if value is not None},
    )


def _stricter(own: str | None, label: str | None) -> str | None:
    if own is None or label is None:
        return own
    return max(parse_sensitivity(own), parse_sensitivity(label, param="metadata.sensitivity")).label


def _shows_image(message: WireMessage) -> bool:
    return isinstance(message.content, list) and any(part.type in IMAGE_PARTS for part in message.content)


def parse_request(body: bytes, *, stream: bool) -> ChatRequest:
    """The canonical request."""
    asked = decode_body(_decoder, body)
    return ChatRequest(
        model=asked.model,
        messages=parse_messages(asked.messages),
        tools=parse_tools(asked.tools or ()),
        sampling=Sampling(max_tokens=asked.max_tokens, temperature=asked.temperature),
        stream=stream,
    )


def render_request(request: Request, model: str, stream: bool) -> bytes:  # noqa: ARG001, FBT001 - the path says stream
    """The body for another Junto."""
    if not isinstance(request, ChatRequest):
        raise Unsupported("An embeddings request cannot be sent as a chat.")
    body: dict[str, Any] = {"model": model, "messages": render_messages(request.messages)}
    if request.tools:
        body["tools"] = [render_tool(tool) for tool in request.tools]
    if request.sampling.max_tokens is not None:
        body["max_tokens"] = request.sampling.max_tokens
    if request.sampling.temperature is not None:
        body["temperature"] = request.sampling.temperature
    return msgspec.json.encode(body)


def relay_request(body: bytes, upstream_model: str) -> bytes:
    """The caller's own body for another Junto, with its name for the model."""
    return rewritten(body, upstream_model)


def amend(body: bytes, amendment: Amendment) -> Amended:
    """The body with what the route of its task or an agent adds; of sampling there is the temperature only."""
    fields = fields_of(body)
    bound(fields, ("max_tokens",), amendment.max_tokens, usual="max_tokens")
    if amendment.sampling is not None:
        fill(fields, {"temperature": amendment.sampling.temperature})
    is_prompted = prompt_first(fields, amendment.system)
    if amendment.without_tools:
        drop_tools(fields)
    if amendment.closing is not None:
        close_messages(fields, amendment.closing)
    return Amended(msgspec.json.encode(fields), is_prompted)
