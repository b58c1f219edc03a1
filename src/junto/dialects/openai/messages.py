"""A conversation's messages: chat completions' shape to core and back.

Owns roles, content parts, images and reasoning in history. What OpenAI has no word for (signatures, cache marks, a
failed tool's flag) is left out on the way to an upstream.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from junto.core.chat import Image, Message, Role, Text, Thinking, ToolCall, ToolResult
from junto.core.errors import InvalidField, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DATA_URL = re.compile(r"data:([a-z0-9.+-]+/[a-z0-9.+-]+)(?:;[a-z0-9-]+=[^;,]*)*;base64,", re.IGNORECASE)
_IMAGE_FOLLOWS = "The result is the image that follows."


class _ImageUrl(msgspec.Struct):
    url: str
    detail: str | None = None


class WirePart(msgspec.Struct):
    """One part of a message's content."""

    type: str
    text: str | None = None
    image_url: _ImageUrl | str | None = None
    refusal: str | None = None
    cache_control: dict[str, Any] | None = None


class WireFunctionCall(msgspec.Struct):
    """The name and arguments of a call."""

    name: str
    arguments: str | dict[str, Any] | None = None


class WireToolCall(msgspec.Struct):
    """A call in an assistant's turn."""

    function: WireFunctionCall | None = None
    id: str | None = None
    type: str = "function"


class WireMessage(msgspec.Struct):
    """One message as callers send it, with the fields that other servers added to OpenAI's."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[WirePart] | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[WireToolCall] | None = None
    function_call: WireFunctionCall | None = None
    tool_call_id: str | None = None


def parse_messages(messages: Sequence[WireMessage]) -> tuple[Message, ...]:
    """The conversation; raises InvalidField or Unsupported with the path of what is wrong."""
    return tuple(_parse_message(message, f"messages[{at}]") for at, message in enumerate(messages))


def arguments_text(arguments: object) -> str:
    """A call's arguments as JSON text: as it was written, or encoded where a server sends an object."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else msgspec.json.encode(arguments).decode()


def _parse_message(message: WireMessage, at: str) -> Message:
    match message.role:
        case "system" | "developer":
            return Message(Role.SYSTEM, tuple(_parse_content(message.content, at)), message.name)
        case "user":
            return Message(Role.USER, tuple(_parse_content(message.content, at)), message.name)
        case "assistant":
            return Message(Role.ASSISTANT, _parse_assistant(message, at), message.name)
        case "tool":
            if message.tool_call_id is None:
                raise InvalidField(f"{at}.tool_call_id: it is required.", param=f"{at}.tool_call_id")
            content = tuple(_parse_content(message.content, at))
            return Message(Role.TOOL, (ToolResult(message.tool_call_id, content, name=message.name),))
        case "function":
            content = tuple(_parse_content(message.content, at))
            name = message.name or ""
            return Message(Role.TOOL, (ToolResult(_legacy_id(name), content, name=name),))


def _parse_assistant(message: WireMessage, at: str) -> tuple[Text | Image | Thinking | ToolCall, ...]:
    parts: list[Text | Image | Thinking | ToolCall] = []
    thinking = message.reasoning_content or message.reasoning
    if thinking:
        parts.append(Thinking(thinking))
    parts += [part for part in _parse_content(message.content, at) if part != Text("")]
    if message.refusal:
        parts.append(Text(message.refusal))
    for number, call in enumerate(message.tool_calls or ()):
        parts.append(_parse_call(call, f"{at}.tool_calls[{number}]"))
    if message.function_call is not None:
        legacy = message.function_call
        parts.append(ToolCall(_legacy_id(legacy.name), legacy.name, arguments_text(legacy.arguments)))
    return tuple(parts)


def _parse_call(call: WireToolCall, at: str) -> ToolCall:
    if call.type != "function":
        raise Unsupported(f"{at}: tool calls of type {call.type[:40]!r} cannot be translated.", param=f"{at}.type")
    if call.function is None:
        raise InvalidField(f"{at}.function: it is required.", param=f"{at}.function")
    return ToolCall(
        call.id or _legacy_id(call.function.name), call.function.name, arguments_text(call.function.arguments)
    )


def _legacy_id(name: str) -> str:
    """Functions of before tools had no ids: a call and its result are matched by the name."""
    return f"call_{name}"


def _parse_content(content: str | list[WirePart] | None, at: str) -> Iterable[Text | Image]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),)
    return [_parse_part(part, f"{at}.content[{number}]") for number, part in enumerate(content)]


def _parse_part(part: WirePart, at: str) -> Text | Image:
    match part.type:
        case "text" | "input_text" | "output_text" if part.text is not None:
            return Text(part.text, part.cache_control)
        case "refusal" if part.refusal is not None:
            return Text(part.refusal)
        case "image_url" | "input_image" if part.image_url is not None:
            return _parse_image(part.image_url, f"{at}.image_url")
        case "text" | "input_text" | "output_text" | "refusal" | "image_url" | "input_image":
            field = "image_url" if "image" in part.type else part.type.rpartition("_")[2]
            raise InvalidField(f"{at}.{field}: it is required.", param=f"{at}.{field}")
        case other:
            raise Unsupported(f"{at}: content of type {other[:40]!r} cannot be translated.", param=f"{at}.type")


def _parse_image(image: _ImageUrl | str, at: str) -> Image:
    url, detail = (image, None) if isinstance(image, str) else (image.url, image.detail)
    if not url.startswith("data:"):
        return Image(url=url, detail=detail)
    head = _DATA_URL.match(url)
    if head is None:
        raise InvalidField(f"{at}.url: a data: URL must be base64 and name its media type.", param=f"{at}.url")
    return Image(data=url[head.end() :], media_type=head[1].lower(), detail=detail)


def render_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The conversation in the form that upstreams take.

    A tool's answer may hold only text there, so images of tools follow in a message of the user, after the last answer.
    """
    rendered: list[dict[str, Any]] = []
    images: list[Image] = []
    for message in messages:
        if message.role is not Role.TOOL and images:
            rendered.append(_images_of_tools(images))
            images = []
        match message.role:
            case Role.TOOL:
                for part in message.parts:
                    if isinstance(part, ToolResult):
                        images += [shown for shown in part.content if isinstance(shown, Image)]
                        rendered.append(_render_result(part))
            case Role.ASSISTANT:
                rendered.append(_named(_render_assistant(message), message))
            case Role.SYSTEM | Role.USER:
                content = _render_content([part for part in message.parts if isinstance(part, Text | Image)])
                rendered.append(_named({"role": message.role.value, "content": content}, message))
    if images:
        rendered.append(_images_of_tools(images))
    return rendered


def render_call(call: ToolCall) -> dict[str, Any]:
    """A tool call in a message."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments or "{}"}}


def _named(rendered: dict[str, Any], message: Message) -> dict[str, Any]:
    return rendered if message.name is None else {**rendered, "name": message.name}


def _render_result(result: ToolResult) -> dict[str, Any]:
    words = [part for part in result.content if isinstance(part, Text)]
    content = _render_content(words)
    if not words and result.content:
        content = _IMAGE_FOLLOWS
    rendered = {"role": "tool", "tool_call_id": result.call_id, "content": content}
    return rendered if result.name is None else {**rendered, "name": result.name}


def _render_assistant(message: Message) -> dict[str, Any]:
    words = [part for part in message.parts if isinstance(part, Text | Image)]
    calls = [render_call(part) for part in message.parts if isinstance(part, ToolCall)]
    thinking = "".join(part.text for part in message.parts if isinstance(part, Thinking))
    rendered: dict[str, Any] = {"role": "assistant", "content": _render_content(words) if words or not calls else None}
    if thinking:
        rendered["reasoning_content"] = thinking
    if calls:
        rendered["tool_calls"] = calls
    return rendered


def _images_of_tools(images: Sequence[Image]) -> dict[str, Any]:
    return {"role": "user", "content": [_render_part(image) for image in images]}


def _render_content(parts: Sequence[Text | Image]) -> str | list[dict[str, Any]]:
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [_render_part(part) for part in parts]


def _render_part(part: Text | Image) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    url = part.url if part.data is None else f"data:{part.media_type or 'image/png'};base64,{part.data}"
    image = {"url": url} if part.detail is None else {"url": url, "detail": part.detail}
    return {"type": "image_url", "image_url": image}
