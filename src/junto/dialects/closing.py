"""System text that goes last, whatever system text the caller sent. Pure; the dialects call it when an amendment has such a text.

All system text of the caller's is gathered in front, in its order, and the closing ends it: templates of many local models take one
system message only, and only at the beginning, and Anthropic has one place for it. What could make a server pass that place over (a
template of the caller's own, a raw prompt, names of fields that some servers read without regard to case) is refused or left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.core.errors import InvalidField, Unsupported
from junto.dialects.decoding import decode_part

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from junto.dialects.amendment import Fields

CHAT_ROLES: Final = frozenset({"user", "assistant", "tool", "function"})
TOOL_FIELDS: Final = ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call")
_SYSTEM: Final = frozenset({"system", "developer"})
_EMPTY: Final = frozenset({b"", b"null", b'""', b"false", b"[]", b"{}"})
_TEMPLATES: Final = (
    "chat_template",
    "chat_template_str",
    "instruction_template",
    "instruction_template_str",
    "custom_system_message",
    "template",
    "truncate_prompt_tokens",  # a prompt that is cut is cut at its beginning
    "truncation_length",
)
_TEMPLATE_OPTIONS: Final = "chat_template_kwargs"
_HARMLESS_OPTIONS: Final = frozenset(
    {"enable_thinking", "thinking", "thinking_budget", "reasoning_effort", "preserve_thinking"}
)
_BETWEEN: Final = "\n\n"
_MESSAGES: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]] | None)
_ROLE: Final = msgspec.json.Decoder(str)
_CONTENT: Final = msgspec.json.Decoder(str | list[msgspec.Raw] | None)
_NAMES: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)

type Content = str | list[msgspec.Raw]


def close_messages(
    fields: Fields, closing: str, *, roles: Collection[str] = CHAT_ROLES, knows_developer: bool = True
) -> None:
    """Make one system message of all there are, put it first, and let the closing be its end.

    `roles` are those that may speak beside the system; raises InvalidField for any other. `knows_developer`: the wire has that
    role too, and system text that is all the developer's stays so.
    """
    system, turns = split(fields, roles)
    if not system and not turns:
        return
    named = [role for role, _ in system]
    is_developers = knows_developer and bool(named) and all(each == "developer" for each in named)
    role = "developer" if is_developers else "system"
    content = ended([content for _, content in system], closing)
    fields["messages"] = _raw([{"role": role, "content": content}, *turns])


def split(fields: Fields, roles: Collection[str]) -> tuple[list[tuple[str, Content]], list[dict[str, msgspec.Raw]]]:
    """What the system says, by role, and the turns of the others; raises InvalidField for a role that is none of these."""
    given = fields.get("messages")
    system: list[tuple[str, Content]] = []
    turns: list[dict[str, msgspec.Raw]] = []
    for at, message in enumerate((decode_part(_MESSAGES, given, "messages") if given is not None else None) or []):
        # Of two names that differ in case, some servers read the other one than Junto.
        known = {name: value for name, value in message.items() if name == name.casefold()}
        path = f"messages[{at}]"
        role = decode_part(_ROLE, known.get("role", msgspec.Raw(b'""')), f"{path}.role").strip().casefold()
        if role in _SYSTEM:
            said = decode_part(_CONTENT, known.get("content", msgspec.Raw(b"null")), f"{path}.content")
            system.append((role, said or ""))
        elif role in roles:
            turns.append({**known, "role": _raw(role)})
        else:
            raise InvalidField(f"{role[:40]!r} is no role that can be used with this model.", param=f"{path}.role")
    return system, turns


def ended(contents: Sequence[Content], closing: str) -> Content:
    """These contents as one, with the closing at its end: a text where all are, else parts."""
    if all(isinstance(content, str) for content in contents):
        return _BETWEEN.join([*(text for text in contents if isinstance(text, str) and text.strip()), closing])
    parts: list[msgspec.Raw] = []
    for content in (*contents, closing):
        if not isinstance(content, str):
            parts += content
        elif content.strip():
            parts.append(_raw({"type": "text", "text": content}))
    return parts


def system_of(fields: Mapping[str, msgspec.Raw]) -> list[Content]:
    """The content of a body's `system`, if it has any; raises InvalidField where it is none."""
    given = fields.get("system")
    content = decode_part(_CONTENT, given, "system") if given is not None else None
    return [content] if content else []


def refuse_bypass(fields: Mapping[str, msgspec.Raw], names: Collection[str] = ()) -> None:
    """Raise Unsupported where the caller brings a template of its own, or says one of `names`: the closing could be passed over."""
    refused = {*_TEMPLATES, *names}
    for name, given in fields.items():
        if name.casefold() in refused and bytes(given) not in _EMPTY:
            raise Unsupported(f"`{name}` cannot be used with a model that has a system prompt of its own.", param=name)
    kwargs = fields.get(_TEMPLATE_OPTIONS)
    options = (decode_part(_NAMES, kwargs, _TEMPLATE_OPTIONS) if kwargs is not None else None) or {}
    odd = sorted(options.keys() - _HARMLESS_OPTIONS)
    if odd:
        path = f"{_TEMPLATE_OPTIONS}.{odd[0][:100]}"
        raise Unsupported(f"`{path}` cannot be used with a model that has a system prompt of its own.", param=path)


def drop_tools(fields: Fields) -> None:
    """Leave out the tools that the caller offers, and everything said about them."""
    for name in TOOL_FIELDS:
        fields.pop(name, None)


def no_place() -> Unsupported:
    """For wires without a place for system text: what must be said cannot be left out."""
    return Unsupported(
        "This endpoint has no place for a system prompt, and the model has one of its own: ask it in a chat."
    )


def _raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))
