"""What a route or an agent adds to a request: a system prompt, defaults of sampling, a bound of its length; text that goes last.

Each dialect has functions that write these into a caller's body, so that what follows, relayed or translated, reads one body.
They run only for routes and agents, where there is something to add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.chat import Sampling
from junto.dialects.closing import no_place
from junto.dialects.decoding import decode_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

type Fields = dict[str, msgspec.Raw]

_ABSENT = frozenset({b"", b"null"})
_MESSAGES = msgspec.json.Decoder(list[msgspec.Raw])


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be added. `max_tokens` is what a request gets that says nothing, and the most that one may say.

    `system` stands where the caller has none; `closing` is system text that goes last, after all that the caller has. Wires
    without a place for it raise Unsupported. `without_tools` leaves out the tools that the caller offers.
    """

    system: str | None = None
    closing: str | None = None
    without_tools: bool = False
    max_tokens: int | None = None
    sampling: Sampling | None = None


class Amended(msgspec.Struct, frozen=True):
    """The body with what was added; `is_prompted`: the system prompt was."""

    body: bytes
    is_prompted: bool = False


class _Turn(msgspec.Struct):
    role: str = ""


_ROLES = msgspec.json.Decoder(list[_Turn])
_SYSTEM = frozenset({"system", "developer"})


def unchanged(body: bytes, amendment: Amendment) -> Amended:
    """For wires that have no place for any of it; raises Unsupported where something must be said all the same."""
    if amendment.closing is not None:
        raise no_place()
    return Amended(body)


def is_absent(fields: Mapping[str, msgspec.Raw], name: str) -> bool:
    """Whether a field is missing, or null, which means the same."""
    return bytes(fields.get(name, b"")) in _ABSENT


def bound(fields: Fields, names: Iterable[str], most: int | None, *, usual: str) -> None:
    """Lower those of these limits that are above `most` or no limit at all; where none is set, `usual` is."""
    if most is None:
        return
    given = [name for name in names if not is_absent(fields, name)]
    for name in given or (usual,):
        asked = msgspec.json.decode(fields[name]) if name in given else most
        fields[name] = raw(int(asked) if 0 < asked < most else most)


def fill(fields: Fields, values: Mapping[str, Any]) -> None:
    """Set what is not set."""
    for name, value in values.items():
        if value is not None and value != () and is_absent(fields, name):
            fields[name] = raw(value)


def prompt_first(fields: Fields, system: str | None) -> bool:
    """Put a system message before the others unless there is one; whether it was put."""
    if system is None or is_absent(fields, "messages"):
        return False
    messages = fields["messages"]
    roles = decode_part(_ROLES, messages, "messages")
    if not roles or any(turn.role in _SYSTEM for turn in roles):
        return False
    fields["messages"] = raw([{"role": "system", "content": system}, *decode_part(_MESSAGES, messages, "messages")])
    return True


def raw(value: Any) -> msgspec.Raw:
    """A value as JSON that is ready to be put in."""
    return msgspec.Raw(msgspec.json.encode(value))
