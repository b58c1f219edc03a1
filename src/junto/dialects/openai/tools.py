"""Tools, the choice among them, and the form of the answer: chat completions' shape to core and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from junto.core.chat import Format, Tool, ToolChoice
from junto.core.errors import InvalidField, Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

type Mode = Literal["auto", "none", "required"]


class WireFunction(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A function that the model may call."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class WireTool(msgspec.Struct, kw_only=True):
    """A tool; all but functions run at the provider and cannot be translated."""

    type: str = "function"
    function: WireFunction | None = None


class _Named(msgspec.Struct):
    name: str


class _Allowed(msgspec.Struct, kw_only=True):
    mode: Literal["auto", "required"] = "auto"
    tools: list[WireTool] = []


class WireChoice(msgspec.Struct, kw_only=True):
    """`tool_choice` where it is an object."""

    type: str = "function"
    function: _Named | None = None
    allowed_tools: _Allowed | None = None


class _Schema(msgspec.Struct, kw_only=True):
    name: str = "answer"
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class WireFormat(msgspec.Struct, kw_only=True):
    """`response_format`."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: _Schema | None = None


def parse_tools(tools: Sequence[WireTool]) -> tuple[Tool, ...]:
    """The functions; raises Unsupported for tools that only OpenAI can run."""
    return tuple(_parse_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools))


def parse_function(function: WireFunction) -> Tool:
    """One function; without parameters it takes none."""
    parameters = {"type": "object", "properties": {}} if function.parameters is None else function.parameters
    return Tool(function.name, parameters, function.description, function.strict)


def _parse_tool(tool: WireTool, at: str) -> Tool:
    if tool.type != "function":
        raise Unsupported(f"{at}: tools of type {tool.type[:40]!r} cannot be translated.", param=f"{at}.type")
    if tool.function is None:
        raise InvalidField(f"{at}.function: it is required.", param=f"{at}.function")
    return parse_function(tool.function)


def parse_choice(choice: Mode | WireChoice | None, parallel: bool | None) -> ToolChoice | None:  # noqa: FBT001
    """The choice among tools; None when the caller left it open."""
    if choice is None:
        return None if parallel is None else ToolChoice(parallel=parallel)
    if isinstance(choice, str):
        return ToolChoice(choice, parallel=parallel)
    if choice.type == "function" and choice.function is not None:
        return ToolChoice("required", choice.function.name, parallel)
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        return ToolChoice(choice.allowed_tools.mode, parallel=parallel)
    raise Unsupported(f"A tool_choice of type {choice.type[:40]!r} cannot be translated.", param="tool_choice")


def allowed(tools: tuple[Tool, ...], choice: Mode | WireChoice | None) -> tuple[Tool, ...]:
    """The tools that `allowed_tools` leaves; all of them when it is not used."""
    if isinstance(choice, WireChoice) and choice.type == "allowed_tools" and choice.allowed_tools is not None:
        names = {tool.function.name for tool in choice.allowed_tools.tools if tool.function is not None}
        return tuple(tool for tool in tools if tool.name in names)
    return tools


def parse_format(wire: WireFormat | None) -> Format | None:
    """The form of the answer; None for plain text."""
    if wire is None or wire.type == "text":
        return None
    if wire.type == "json_object":
        return Format("json")
    if wire.json_schema is None:
        raise InvalidField("response_format.json_schema: it is required.", param="response_format.json_schema")
    asked = wire.json_schema
    return Format("json_schema", asked.schema, asked.name, asked.strict)


def render_tool(tool: Tool) -> dict[str, Any]:
    """A tool as upstreams take it."""
    function: dict[str, Any] = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.parameters
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def render_choice(choice: ToolChoice) -> str | dict[str, Any]:
    """`tool_choice`; whether calls may be parallel is a field of its own."""
    if choice.name is not None:
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def render_format(form: Format) -> dict[str, Any]:
    """`response_format`."""
    if form.kind == "json":
        return {"type": "json_object"}
    schema: dict[str, Any] = {"name": form.name}
    if form.schema is not None:
        schema["schema"] = form.schema
    if form.strict is not None:
        schema["strict"] = form.strict
    return {"type": "json_schema", "json_schema": schema}
