"""Anthropic's knobs and the core's: thinking and effort, the form of the answer, tools and the choice among them. Pure tables.

Two generations of models differ: older Claude models (and other servers that speak this wire) think within a budget of tokens,
newer ones adapt by effort and refuse budgets. The name of the model tells which.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from junto.core.chat import Format, Reasoning, Role, Thinking, Tool, ToolCall, ToolChoice
from junto.core.errors import InvalidField, Unsupported

type Effort = Literal["none", "minimal", "low", "medium", "high"]

DEFAULT_MAX_TOKENS = 8192
LEAST_BUDGET = 1024
_DEFAULT_BUDGET = 8192
_BUDGETS: dict[str, int] = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384}
_EFFORTS: dict[str, Effort] = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_ON_A_BUDGET = re.compile(r"claude-(?:[12]|3|(?:opus|sonnet|haiku)-4(?:-[0-5])?(?=$|[^-\d]|-\d{8}|-latest))")


class WireThinking(msgspec.Struct):
    """How to think."""

    type: str
    budget_tokens: int | None = None
    display: str | None = None


class WireFormat(msgspec.Struct):
    """The form of the answer."""

    type: str
    schema: dict[str, Any] | None = None


class WireOutputConfig(msgspec.Struct):
    """Effort and form of the answer."""

    effort: str | None = None
    format: WireFormat | None = None


class WireToolChoice(msgspec.Struct):
    """Whether tools may, must or must not be called."""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class WireTool(msgspec.Struct):
    """A tool; those with a type of their own run at Anthropic or are defined by it."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None


def parse_reasoning(thinking: WireThinking | None, effort: str | None) -> Reasoning | None:
    """The reasoning asked for by `thinking` and `output_config.effort`."""
    if effort is not None and effort not in _EFFORTS:
        raise InvalidField("`effort` must be low, medium, high, xhigh or max.", param="output_config.effort")
    level = _EFFORTS[effort] if effort is not None else None
    if thinking is None:
        return Reasoning(effort=level) if level else None
    if thinking.type == "disabled":
        return Reasoning(effort="none")
    if thinking.type == "enabled":
        if thinking.budget_tokens is None:
            raise InvalidField("The field `thinking.budget_tokens` is missing.", param="thinking.budget_tokens")
        return Reasoning(effort=level, budget=thinking.budget_tokens)
    return Reasoning(effort=level)


def parse_format(format: WireFormat | None, path: str) -> Format | None:
    """The form of the answer."""
    if format is None:
        return None
    if format.type != "json_schema" or format.schema is None:
        raise InvalidField("The format must be a json_schema with its `schema`.", param=path)
    return Format("json_schema", format.schema)


def parse_choice(choice: WireToolChoice | None) -> ToolChoice | None:
    """The choice among tools."""
    if choice is None:
        return None
    parallel = None if choice.disable_parallel_tool_use is None else not choice.disable_parallel_tool_use
    match choice.type:
        case "auto" | "none":
            return ToolChoice(choice.type, parallel=parallel)
        case "any":
            return ToolChoice("required", parallel=parallel)
        case "tool" if choice.name:
            return ToolChoice("required", choice.name, parallel)
    raise InvalidField("`tool_choice` must be auto, any, none, or a tool by its name.", param="tool_choice")


def parse_tools(wire: list[WireTool]) -> tuple[Tool, ...]:
    """The tools; raises Unsupported for those that Anthropic itself provides."""
    tools: list[Tool] = []
    for position, tool in enumerate(wire):
        if tool.type not in {None, "custom"}:
            raise Unsupported(
                f"The tool {tool.name[:40]!r} is only served by Anthropic.", param=f"tools[{position}].type"
            )
        if tool.input_schema is None:
            path = f"tools[{position}].input_schema"
            raise InvalidField(f"The field `{path}` is missing.", param=path)
        tools.append(Tool(tool.name, tool.input_schema, tool.description, tool.strict))
    return tuple(tools)


def render_tools(tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """The tools on the wire; a schema always says that it is one of an object."""
    wire: list[dict[str, Any]] = []
    for tool in tools:
        entry: dict[str, Any] = {"name": tool.name}
        if tool.description is not None:
            entry["description"] = tool.description
        entry["input_schema"] = tool.parameters if "type" in tool.parameters else {"type": "object"} | tool.parameters
        if tool.strict is not None:
            entry["strict"] = tool.strict
        wire.append(entry)
    return wire


def render_choice(choice: ToolChoice) -> dict[str, Any]:
    """The choice among tools on the wire."""
    if choice.mode == "none":
        return {"type": "none"}
    if choice.mode == "auto":
        wire: dict[str, Any] = {"type": "auto"}
    else:
        wire = {"type": "tool", "name": choice.name} if choice.name else {"type": "any"}
    if choice.parallel is not None:
        wire["disable_parallel_tool_use"] = not choice.parallel
    return wire


class Thought(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says about thinking, and the limit of tokens that goes with it."""

    thinking: dict[str, Any] | None = None
    effort: str | None = None
    max_tokens: int

    @property
    def enabled(self) -> bool:
        """Whether the model may think."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


def render_reasoning(reasoning: Reasoning | None, model: str, max_tokens: int | None, *, barred: bool) -> Thought:
    """How the model should think; `barred` where other parts of the request rule thinking out."""
    limit = max_tokens if max_tokens is not None else DEFAULT_MAX_TOKENS
    if reasoning is None:
        return Thought(max_tokens=limit)
    if reasoning.effort == "none" or barred:
        return Thought(thinking={"type": "disabled"}, max_tokens=limit)
    if not is_on_a_budget(model):
        return Thought(thinking={"type": "adaptive"}, effort=_effort(reasoning), max_tokens=limit)
    if max_tokens is not None and max_tokens <= LEAST_BUDGET:
        return Thought(thinking={"type": "disabled"}, max_tokens=limit)
    budget = _budget(reasoning, max_tokens)
    return Thought(
        thinking={"type": "enabled", "budget_tokens": budget},
        max_tokens=limit if max_tokens is not None else budget + DEFAULT_MAX_TOKENS,
    )


def is_on_a_budget(model: str) -> bool:
    """Whether a model thinks within a budget of tokens instead of adapting by effort."""
    return "claude" not in model or _ON_A_BUDGET.search(model) is not None


def bars_thinking(messages: tuple[Any, ...], choice: ToolChoice | None, model: str) -> bool:
    """Whether thinking must stay off: a tool is forced, or a tool turn goes on whose thinking is not at hand, signed."""
    if choice is not None and choice.mode == "required":
        return True
    if not is_on_a_budget(model) or not messages or messages[-1].role is not Role.TOOL:
        return False
    turn = next((message for message in reversed(messages) if message.role is Role.ASSISTANT), None)
    if turn is None or not any(isinstance(part, ToolCall) for part in turn.parts):
        return False
    first = turn.parts[0]
    return not (isinstance(first, Thinking) and (first.signature or first.redacted is not None))


def _effort(reasoning: Reasoning) -> str | None:
    if reasoning.effort is not None:
        return "low" if reasoning.effort == "minimal" else reasoning.effort
    if reasoning.budget is None:
        return None
    return next((level for level in ("low", "medium") if reasoning.budget <= _BUDGETS[level]), "high")


def _budget(reasoning: Reasoning, max_tokens: int | None) -> int:
    """A budget asked for is kept where it fits; one made from an effort leaves half of the tokens for the answer."""
    if reasoning.budget is not None:
        asked = max(reasoning.budget, LEAST_BUDGET)
        return asked if max_tokens is None else min(asked, max_tokens - 1)
    wished = _BUDGETS[reasoning.effort] if reasoning.effort else _DEFAULT_BUDGET
    return wished if max_tokens is None else min(wished, max(LEAST_BUDGET, max_tokens // 2))
