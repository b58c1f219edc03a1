"""The hot path of `/messages`: a glance for routing (peek), and what little changes when a body is relayed.

Reads each body once, into few fields; what is not needed stays raw.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from junto.core.capability import Capability
from junto.core.usage import estimate_tokens
from junto.dialects.decoding import check_model, decode_body, decode_part, fields_of, labels_of, rewritten
from junto.dialects.wire import Head

TOKENS_PER_IMAGE = 1000
_BYTES_PER_DOCUMENT_TOKEN = 40  # of base64: a page of a PDF is some tens of kilobytes and one or two thousand tokens
_NONE = msgspec.Raw(b"")
_EMPTY = frozenset({b"", b"null", b"[]"})
_OURS = ("sensitivity", "task_type")  # said to Junto in `metadata`, where Anthropic refuses what it does not know


class _Type(msgspec.Struct):
    type: str = ""


class _Output(msgspec.Struct):
    format: msgspec.Raw = _NONE


class _Glance(msgspec.Struct):
    """What peek reads of a body."""

    model: str
    stream: bool | None = None
    messages: msgspec.Raw = _NONE
    system: msgspec.Raw = _NONE
    tools: msgspec.Raw = _NONE
    max_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None
    thinking: _Type | None = None
    output_config: _Output | None = None
    output_format: msgspec.Raw = _NONE
    metadata: dict[str, Any] | None = None


class _Block(msgspec.Struct):
    type: str = ""
    source: msgspec.Raw = _NONE
    content: msgspec.Raw = _NONE


class _Turn(msgspec.Struct):
    content: str | list[_Block] = ""


_GLANCE = msgspec.json.Decoder(_Glance)
_TURNS = msgspec.json.Decoder(list[_Turn] | None)
_CONTENT = msgspec.json.Decoder(str | list[_Block])
_METADATA = msgspec.json.Decoder(dict[str, msgspec.Raw])


def peek(body: bytes) -> Head:
    """What routing needs of a body. Adaptive thinking is not counted as a need: it leaves the thinking to the model."""
    glance = decode_body(_GLANCE, body)
    needs = Capability.CHAT
    if bytes(glance.tools) not in _EMPTY:
        needs |= Capability.TOOLS
    if glance.thinking is not None and glance.thinking.type == "enabled":
        needs |= Capability.REASONING
    output = glance.output_config.format if glance.output_config is not None else glance.output_format
    if bytes(output) not in _EMPTY:
        needs |= Capability.JSON_SCHEMA
    said = (glance.messages, glance.system, glance.tools)
    tokens, characters = 0, sum(len(memoryview(part)) for part in said)
    blocks = _blocks(glance.messages) if body.find(b'"source"') >= 0 else []
    for block in blocks:
        size = len(memoryview(block.source))
        characters -= size
        if block.type == "image":
            needs |= Capability.VISION
            tokens += TOKENS_PER_IMAGE
        else:
            tokens += size // _BYTES_PER_DOCUMENT_TOKEN
    return Head(
        model=check_model(glance.model),
        stream=bool(glance.stream),
        needs=needs,
        prompt_tokens=tokens + estimate_tokens(max(characters, 0)),
        max_tokens=glance.max_tokens,
        metadata=labels_of(glance.metadata),
    )


def relay_request(body: bytes, model: str) -> bytes:
    """The body for an upstream that speaks this wire too: another model's name, and no metadata that was meant for Junto."""
    relayed = rewritten(body, model)
    if not any(relayed.find(b'"%b"' % name.encode()) >= 0 for name in _OURS):
        return relayed
    fields = fields_of(relayed)
    if bytes(fields.get("metadata", b"null")) == b"null":
        return relayed
    metadata = decode_part(_METADATA, fields["metadata"], "metadata")
    kept = {name: value for name, value in metadata.items() if name not in _OURS}
    if len(kept) == len(metadata):
        return relayed
    if kept:
        fields["metadata"] = msgspec.Raw(msgspec.json.encode(kept))
    else:
        del fields["metadata"]
    return msgspec.json.encode(fields)


def _blocks(messages: msgspec.Raw) -> list[_Block]:
    """The blocks that have a source, also those in tool results."""
    found: list[_Block] = []
    turns = decode_part(_TURNS, messages, "messages") if bytes(messages) else None
    for turn in turns or []:
        for block in turn.content if isinstance(turn.content, list) else []:
            if block.type == "tool_result" and bytes(block.content).find(b'"source"') >= 0:
                inner = decode_part(_CONTENT, block.content, "messages")
                found += inner if isinstance(inner, list) else []
            found.append(block)
    return [block for block in found if bytes(memoryview(block.source)[:1]) == b"{"]
