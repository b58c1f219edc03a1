"""The answer given when nothing was planned: deterministic, and the same on every wire.

It says back what it heard, calls a tool that the user names, fills a schema, counts images. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.upstreams.ask import Ask
from tests.upstreams.plan import Call, Scripted, cut


def echo(ask: Ask) -> Scripted:
    """Answer a request by what is in it."""
    thinking = f"Thinking about: {ask.prompt}" if ask.think else None
    called = called_tool(ask)
    if called is not None:
        return Scripted(thinking=thinking, tool_calls=(Call(called, example_of(ask.tools[called])),))
    if ask.schema is not None:
        shape = example_of(ask.schema) if ask.schema else {"echo": ask.prompt}
        return Scripted(text=json.dumps(shape), thinking=thinking)
    return shortened(spoken(ask), thinking, ask.max_tokens)


def called_tool(ask: Ask) -> str | None:
    """Name the tool to call: the forced one, or the first that the last user message mentions."""
    if ask.tool_result is not None or not ask.tools:
        return None
    if ask.forced_tool == "*":
        return next(iter(ask.tools))
    if ask.forced_tool in ask.tools:
        return ask.forced_tool
    return next((name for name in ask.tools if name in ask.prompt), None)


def spoken(ask: Ask) -> str:
    """Put into words what was heard."""
    if ask.tool_result is not None:
        return f"The tool said: {ask.tool_result}"
    seen = f" (and showed {ask.images} image{'s' if ask.images > 1 else ''})" if ask.images else ""
    return f"You said: {ask.prompt}{seen}"


def shortened(text: str, thinking: str | None, limit: int | None) -> Scripted:
    """Cut the text at the token limit, if there is one and it is reached."""
    pieces = cut(text)
    if limit is None or limit <= 0 or len(pieces) <= limit:
        return Scripted(text=text, thinking=thinking)
    return Scripted(text="".join(pieces[:limit]), thinking=thinking, finish="length")


def example_of(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """Make a value that fits a JSON schema of the simple kinds; `$ref` is followed inside the document."""
    root = schema if root is None else root
    if "$ref" in schema:
        return example_of(referred(str(schema["$ref"]), root), root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return example_of(schema[union][0], root)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {name: example_of(inner, root) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema.get("items", {}), root)] * max(1, int(schema.get("minItems", 1)))
    return scalar(str(kind), schema)


def scalar(kind: str, schema: Mapping[str, Any]) -> Any:
    """Make a value of a simple type within its lower bound."""
    lowest = schema.get("minimum")
    match kind:
        case "integer":
            return int(lowest) if lowest is not None else 7
        case "number":
            return float(lowest) if lowest is not None else 1.5
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "text".ljust(int(schema.get("minLength", 0)), "x")


def referred(pointer: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a local JSON pointer such as `#/$defs/Colour`."""
    found: Any = root
    for step in pointer.removeprefix("#/").split("/"):
        found = found[step]
    return found if isinstance(found, Mapping) else {}
