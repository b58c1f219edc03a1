"""Anthropic's content blocks, and the core's parts. What stands in which message is decided in messages.py.

Opaque values (signatures, redacted thinking) travel byte for byte; a tool call's input keeps its own text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.chat import Image, Part, Text, Thinking, ToolCall, ToolResult
from junto.core.errors import InvalidField, Unsupported
from junto.dialects.decoding import decode_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NOTHING = msgspec.Raw(b"")
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class WireSource(msgspec.Struct):
    """Where a picture is."""

    type: str = ""
    media_type: str | None = None
    data: str | None = None
    url: str | None = None


class WireBlock(msgspec.Struct):
    """Any content block; which fields it has depends on its type."""

    type: str
    text: str | None = None
    cache_control: dict[str, Any] | None = None
    source: msgspec.Raw = _NOTHING
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = _NOTHING
    tool_use_id: str | None = None
    content: msgspec.Raw = _NOTHING
    is_error: bool | None = None


type Content = str | list[WireBlock]

_CONTENT = msgspec.json.Decoder(str | list[WireBlock] | None)
_SOURCE = msgspec.json.Decoder(WireSource)


class ToolIds:
    """Ids of tool calls as Anthropic wants them: of letters, digits, `_` and `-`, and each used once in a conversation."""

    def __init__(self) -> None:
        self._uses: dict[str, int] = {}

    def of_call(self, id: str) -> str:
        """The id for a call that is made now."""
        clean = _FOREIGN.sub("_", id) or "call"
        self._uses[clean] = self._uses.get(clean, 0) + 1
        return self._latest(clean)

    def of_result(self, id: str) -> str:
        """The id of the latest call of that name."""
        return self._latest(_FOREIGN.sub("_", id) or "call")

    def _latest(self, clean: str) -> str:
        uses = self._uses.get(clean, 1)
        return clean if uses == 1 else f"{clean}_{uses}"


def parse_content(content: Content | None, path: str) -> tuple[Part, ...]:
    """The parts of a caller's message; raises Unsupported for blocks that only Anthropic knows, InvalidField for wrong ones."""
    if isinstance(content, str):
        return (Text(content),) if content else ()
    parts = (_parse_block(block, f"{path}[{number}]") for number, block in enumerate(content or ()))
    return tuple(part for part in parts if part is not None)


def render_content(parts: Iterable[Part], ids: ToolIds) -> list[dict[str, Any]]:
    """The blocks of a message; empty text and thinking without a signature are left out, Anthropic takes neither."""
    blocks = (_render_part(part, ids) for part in parts)
    return [block for block in blocks if block is not None]


def render_text(part: Text) -> dict[str, Any] | None:
    """A text block, with its cache mark."""
    if not part.text:
        return None
    return {"type": "text", "text": part.text} | ({"cache_control": part.cache} if part.cache else {})


def input_text(raw: msgspec.Raw) -> str:
    """A tool call's input as JSON text."""
    return bytes(raw).decode() or "{}"


def input_object(arguments: str) -> msgspec.Raw | dict[str, str]:
    """The arguments as the model wrote them; text that is no JSON object is shown as the one field it can be."""
    try:
        _OBJECT.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        return {"_raw": arguments}
    return msgspec.Raw((arguments or "{}").encode())


def _parse_block(block: WireBlock, path: str) -> Part | None:
    parse = _PARSERS.get(block.type)
    if parse is None:
        raise Unsupported(f"Blocks of type {block.type[:40]!r} are only served by Anthropic.", param=f"{path}.type")
    return parse(block, path)


def _parse_text(block: WireBlock, path: str) -> Text | None:
    text = _needed(block.text, f"{path}.text")
    return Text(text, block.cache_control) if text else None


def _parse_image(block: WireBlock, path: str) -> Image:
    raw = _needed(block.source if bytes(block.source) else None, f"{path}.source")
    source = decode_part(_SOURCE, raw, f"{path}.source")
    if source.type == "base64":
        return Image(data=_needed(source.data, f"{path}.source.data"), media_type=source.media_type)
    if source.type == "url":
        return Image(url=_needed(source.url, f"{path}.source.url"))
    raise Unsupported("Pictures that are files are only served by Anthropic.", param=f"{path}.source.type")


def _parse_thinking(block: WireBlock, path: str) -> Thinking:
    return Thinking(_needed(block.thinking, f"{path}.thinking"), block.signature or None)


def _parse_redacted(block: WireBlock, path: str) -> Thinking:
    return Thinking(redacted=_needed(block.data, f"{path}.data"))


def _parse_use(block: WireBlock, path: str) -> ToolCall:
    id, name = _needed(block.id, f"{path}.id"), _needed(block.name, f"{path}.name")
    decode_part(_OBJECT, block.input if bytes(block.input) else msgspec.Raw(b"{}"), f"{path}.input")
    return ToolCall(id, name, input_text(block.input))


def _parse_result(block: WireBlock, path: str) -> ToolResult:
    call_id = _needed(block.tool_use_id, f"{path}.tool_use_id")
    at = f"{path}.content"
    content = decode_part(_CONTENT, block.content, at) if bytes(block.content) else None
    parts = parse_content(content, at)
    said = tuple(part for part in parts if isinstance(part, Text | Image))
    if len(said) < len(parts):
        raise InvalidField("A tool result holds text and pictures only.", param=at)
    return ToolResult(call_id, said, is_error=bool(block.is_error))


def _needed[T](value: T | None, path: str) -> T:
    if value is None:
        raise InvalidField(f"The field `{path}` is missing.", param=path)
    return value


_PARSERS: dict[str, Callable[[WireBlock, str], Part | None]] = {
    "text": _parse_text,
    "image": _parse_image,
    "thinking": _parse_thinking,
    "redacted_thinking": _parse_redacted,
    "tool_use": _parse_use,
    "tool_result": _parse_result,
}


def _render_part(part: Part, ids: ToolIds) -> dict[str, Any] | None:
    match part:
        case Text():
            return render_text(part)
        case Image():
            return {"type": "image", "source": _render_source(part)}
        case Thinking(text, signature, redacted):
            if redacted is not None:
                return {"type": "redacted_thinking", "data": redacted}
            return {"type": "thinking", "thinking": text, "signature": signature} if signature else None
        case ToolCall(id, name, arguments):
            return {"type": "tool_use", "id": ids.of_call(id), "name": name, "input": input_object(arguments)}
        case ToolResult():
            return _render_result(part, ids)


def _render_source(image: Image) -> dict[str, Any]:
    if image.data is not None:
        return {"type": "base64", "media_type": image.media_type or "image/png", "data": image.data}
    url = image.url or ""
    head, _, data = url.partition(",")
    if head.startswith("data:") and head.endswith(";base64"):
        media_type = head.removeprefix("data:").removesuffix(";base64")
        return {"type": "base64", "media_type": media_type or "image/png", "data": data}
    return {"type": "url", "url": url}


def _render_result(result: ToolResult, ids: ToolIds) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": ids.of_result(result.call_id)}
    content = render_content(result.content, ids)
    if content:
        block["content"] = plain(content)
    if result.is_error:
        block["is_error"] = True
    return block


def plain(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """The short form of content that is nothing but one text."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks
