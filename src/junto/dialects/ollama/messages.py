"""Ollama's messages and tools, and the core's. Owns the ids of tool calls, which older servers and clients leave out.

Text and images are separate fields on this wire, so a message's parts come back as thinking, text, images, calls.
Signatures of thinking have no place here and are left out.
"""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.chat import Image, Message, Part, Role, Text, Thinking, Tool, ToolCall, ToolResult
from junto.core.errors import InvalidField, Unsupported


class WireFunction(msgspec.Struct):
    """The function of a tool call; `arguments` is an object, or from some servers its JSON text in a string."""

    name: str
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class WireCall(msgspec.Struct):
    """A tool call."""

    function: WireFunction
    id: str | None = None


class WireMessage(msgspec.Struct):
    """One message, in a request or in an answer."""

    role: str = "assistant"
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[WireCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class WireToolFunction(msgspec.Struct):
    """What a tool is called and takes."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class WireTool(msgspec.Struct):
    """A tool."""

    function: WireToolFunction
    type: str = "function"


_MAGIC = {"/9j/": "image/jpeg", "iVBORw0KGgo": "image/png", "R0lGOD": "image/gif", "UklGR": "image/webp"}
_STRING = msgspec.json.Decoder(str)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parse_messages(wire: list[WireMessage]) -> tuple[Message, ...]:
    """The conversation; calls without an id are numbered through, results find their call by id, by name or by order."""
    messages: list[Message] = []
    calls: list[ToolCall] = []  # not answered yet
    count = 0
    for position, message in enumerate(wire):
        role = _role(message.role, position)
        if role is Role.TOOL:
            call = _answered(message, calls)
            name = message.tool_name or (call.name if call else None)
            call_id = message.tool_call_id or (call.id if call else f"call_{count}")
            part = ToolResult(call_id, _said(message), name=name)
            messages.append(Message(role, (part,)))
            continue
        made = parse_calls(message.tool_calls or [], count)
        count += len(made)
        calls.extend(made)
        thinking = (Thinking(message.thinking),) if message.thinking else ()
        messages.append(Message(role, (*thinking, *_said(message), *made)))
    return tuple(messages)


def parse_calls(wire: list[WireCall], first: int) -> list[ToolCall]:
    """Tool calls, those without an id called `call_<n>` from `first` on."""
    return [
        ToolCall(call.id or f"call_{number}", call.function.name, _arguments_text(call.function.arguments))
        for number, call in enumerate(wire, first)
    ]


def render_messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The conversation on the wire; raises Unsupported for an image that is only a URL."""
    wire: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for position, message in enumerate(messages):
        if message.role is Role.TOOL:
            wire.extend(_render_results(message, names, position))
            continue
        names.update((part.id, part.name) for part in message.parts if isinstance(part, ToolCall))
        wire.append(_render_message(message, position))
    return wire


def render_call(call: ToolCall, index: int) -> dict[str, Any]:
    """One tool call on the wire."""
    return {
        "id": call.id,
        "function": {"index": index, "name": call.name, "arguments": _arguments_object(call.arguments)},
    }


def parse_tools(wire: list[WireTool]) -> tuple[Tool, ...]:
    """The tools."""
    return tuple(
        Tool(tool.function.name, tool.function.parameters or {}, tool.function.description or None) for tool in wire
    )


def render_tools(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """The tools on the wire."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description or "", "parameters": tool.parameters},
        }
        for tool in tools
    ]


def render_image(image: Image, param: str) -> str:
    """The image as base64; raises Unsupported for a URL elsewhere, which nobody here will fetch."""
    if image.data is not None:
        return image.data
    head, _, data = (image.url or "").partition(",")
    if head.startswith("data:") and head.endswith(";base64"):
        return data
    raise Unsupported("This model takes images as base64 data, not as a URL.", param=param)


def parse_image(data: str) -> Image:
    """The image, its media type told by its first bytes."""
    media_type = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), None)
    return Image(data=data, media_type=media_type)


def _role(name: str, position: int) -> Role:
    try:
        return Role(name.lower())
    except ValueError:
        raise InvalidField(f"{name[:40]!r} is not a role.", param=f"messages[{position}].role") from None


def _said(message: WireMessage) -> tuple[Text | Image, ...]:
    text = (Text(message.content),) if message.content else ()
    return (*text, *map(parse_image, message.images or []))


def _answered(message: WireMessage, calls: list[ToolCall]) -> ToolCall | None:
    """The open call that this result belongs to, taken from the list."""
    for number, call in enumerate(calls):
        same_id = call.id == message.tool_call_id
        if same_id or (not message.tool_call_id and message.tool_name in {None, "", call.name}):
            return calls.pop(number)
    return None


def _render_message(message: Message, position: int) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role.value, "content": _text(message.parts)}
    thinking = "".join(part.text for part in message.parts if isinstance(part, Thinking))
    if thinking:
        wire["thinking"] = thinking
    _add_images(wire, message.parts, f"messages[{position}]")
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    if calls:
        wire["tool_calls"] = [render_call(call, index) for index, call in enumerate(calls)]
    return wire


def _render_results(message: Message, names: dict[str, str], position: int) -> list[dict[str, Any]]:
    wire: list[dict[str, Any]] = []
    for part in message.parts:
        if not isinstance(part, ToolResult):
            continue
        result: dict[str, Any] = {"role": "tool", "content": _text(part.content), "tool_call_id": part.call_id}
        name = part.name or names.get(part.call_id)
        if name:
            result["tool_name"] = name
        _add_images(result, part.content, f"messages[{position}]")
        wire.append(result)
    return wire


def _add_images(wire: dict[str, Any], parts: tuple[Part, ...] | tuple[Text | Image, ...], param: str) -> None:
    images = [render_image(part, param) for part in parts if isinstance(part, Image)]
    if images:
        wire["images"] = images


def _text(parts: tuple[Part, ...] | tuple[Text | Image, ...]) -> str:
    """Texts that were separate stay on separate lines: the wire has one string for them all."""
    return "\n".join(part.text for part in parts if isinstance(part, Text))


def _arguments_text(raw: msgspec.Raw) -> str:
    text = bytes(raw)
    return _STRING.decode(text) if text.startswith(b'"') else text.decode()


def _arguments_object(text: str) -> msgspec.Raw | dict[str, Any]:
    """The arguments as the model wrote them; text that is no JSON object is shown as the one argument it can be."""
    try:
        _OBJECT.decode(text or "{}")
    except (msgspec.DecodeError, RecursionError):
        return {"_raw": text}
    return msgspec.Raw((text or "{}").encode())
