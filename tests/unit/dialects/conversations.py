"""Hypothesis strategies for canonical values, and ways to cut bytes into pieces. Values are in the form every wire can hold."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from junto.core.chat import (
    ChatRequest,
    Format,
    Image,
    Message,
    Role,
    Sampling,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from junto.core.completion import Completion
from junto.core.events import FinishReason
from junto.core.usage import Usage
from junto.dialects.ndjson import on_one_line
from junto.dialects.wire import Wire

STREAMED = True
WHOLE = False

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
names = st.from_regex(r"[a-z][a-z0-9_]{0,10}", fullmatch=True)
PNG = "iVBORw0KGgoAAAANSUhEUg=="
objects = st.dictionaries(names, st.one_of(st.integers(-1000, 1000), words, st.booleans(), st.none()), max_size=3)


def compact(value: Any) -> str:
    """JSON text as a model writes it, with what some take for a line's end escaped: so it is the same in every wire."""
    return on_one_line(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()).decode()


@st.composite
def exchanges(draw: st.DrawFn, *, signed: bool) -> list[Message]:
    """One question with its answer, and with tool calls and their results in between; ids are made unique later."""
    images = (Image(data=PNG, media_type="image/png"),) if draw(st.booleans()) else ()
    turns = [Message(Role.USER, (Text(draw(words)), *images))]
    thinking = (Thinking(draw(words), draw(words) if signed else None),) if draw(st.booleans()) else ()
    said = (Text(draw(words)),) if draw(st.booleans()) else ()
    asked = draw(st.lists(st.tuples(names, objects), max_size=2))
    if not asked:
        return [*turns, Message(Role.ASSISTANT, (*thinking, Text(draw(words))))]
    calls = tuple(ToolCall("", name, compact(arguments)) for name, arguments in asked)
    results = tuple(ToolResult("", (Text(draw(words)),), name=call.name) for call in calls)
    return [*turns, Message(Role.ASSISTANT, (*thinking, *said, *calls)), Message(Role.TOOL, results)]


def with_ids(turns: list[Message]) -> tuple[Message, ...]:
    """The turns with tool calls numbered through, and each result naming its call."""
    numbered: list[Message] = []
    calls = results = 0
    for turn in turns:
        parts: list[Any] = []
        for part in turn.parts:
            if isinstance(part, ToolCall):
                parts.append(ToolCall(f"call_{calls}", part.name, part.arguments))
                calls += 1
            elif isinstance(part, ToolResult):
                parts.append(ToolResult(f"call_{results}", part.content, part.is_error, part.name))
                results += 1
            else:
                parts.append(part)
        numbered.append(Message(turn.role, tuple(parts)))
    return tuple(numbered)


@st.composite
def conversations(draw: st.DrawFn, *, signed: bool = False) -> tuple[Message, ...]:
    """A whole conversation, with or without a system message."""
    system = [Message(Role.SYSTEM, (Text(draw(words)),))] if draw(st.booleans()) else []
    rounds = draw(st.lists(exchanges(signed=signed), min_size=1, max_size=3))
    return with_ids([*system, *(turn for turns in rounds for turn in turns)])


schemas = st.builds(
    lambda properties: {"type": "object", "properties": {name: {"type": "string"} for name in properties}},
    st.lists(names, max_size=3, unique=True),
)
tools = st.lists(
    st.builds(Tool, name=names, parameters=schemas, description=words), max_size=2, unique_by=lambda tool: tool.name
).map(tuple)
formats = st.one_of(st.none(), st.builds(lambda schema: Format("json_schema", schema), schemas))
choices = st.one_of(st.none(), st.just(ToolChoice("auto")), st.just(ToolChoice("required")))
samplings = st.builds(
    Sampling,
    max_tokens=st.integers(1, 5000),
    temperature=st.one_of(st.none(), st.floats(0, 1)),
    top_k=st.one_of(st.none(), st.integers(1, 100)),
    stop=st.lists(words, max_size=2).map(tuple),
)
usages = st.builds(
    Usage,
    input=st.integers(0, 10_000),
    cache_read=st.integers(0, 10_000),
    output=st.integers(0, 10_000),
)


@st.composite
def completions(draw: st.DrawFn, *, signed: bool) -> Completion:
    """A finished answer: thinking, words, tool calls, in this order."""
    thinking = (Thinking(draw(words), draw(words) if signed else None),) if draw(st.booleans()) else ()
    text = (Text(draw(words)),) if draw(st.booleans()) else ()
    asked = draw(st.lists(st.tuples(names, objects), max_size=2))
    calls = tuple(
        ToolCall(f"call_{number}", name, compact(arguments)) for number, (name, arguments) in enumerate(asked)
    )
    reason = FinishReason.TOOL_CALLS if calls else draw(st.sampled_from([FinishReason.STOP, FinishReason.LENGTH]))
    return Completion(parts=(*thinking, *text, *calls), reason=reason, usage=draw(usages), model="m")


def cut(data: bytes, marks: list[int]) -> list[bytes]:
    """The bytes in pieces, cut at these places (taken modulo the length)."""
    places = sorted({mark % (len(data) + 1) for mark in marks})
    bounds = [0, *places, len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


cuts = st.lists(st.integers(0, 10_000), max_size=12)


def chat_in(wire: Wire, body: bytes) -> ChatRequest:
    """The conversation that a body asks to continue."""
    request = wire.parse_request(body)
    assert isinstance(request, ChatRequest)
    return request
