"""What a route or an agent adds in bodies of `/messages`. Pure; the rest of the body stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.dialects.amendment import Amended, Amendment, bound, fill, is_absent, raw
from junto.dialects.closing import drop_tools, ended, refuse_bypass, split, system_of
from junto.dialects.decoding import fields_of

if TYPE_CHECKING:
    from junto.dialects.amendment import Fields

_HOTTEST = 1.0  # Anthropic's scale ends there
_SPEAKERS = frozenset({"user", "assistant"})
_NO_WORDS = frozenset({b'""', b"[]"})


class _Thinking(msgspec.Struct):
    type: str = ""


_THINKING = msgspec.json.Decoder(_Thinking)


def amend(body: bytes, amendment: Amendment) -> Amended:
    """A message. One that thinks gets no sampling: the API refuses the two together."""
    fields = fields_of(body)
    bound(fields, ("max_tokens",), amendment.max_tokens, usual="max_tokens")
    sampling = amendment.sampling
    if sampling is not None and not _thinks(fields):
        heat = sampling.temperature
        values = {
            "temperature": None if heat is None else min(heat, _HOTTEST),
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "stop_sequences": sampling.stop,
        }
        fill(fields, values)
    is_prompted = amendment.system is not None and not _has_system(fields)
    if is_prompted:
        fields["system"] = raw(amendment.system)
    if amendment.without_tools:
        drop_tools(fields)
    if amendment.closing is not None:
        refuse_bypass(fields)
        _close(fields, amendment.closing)
    return Amended(msgspec.json.encode(fields), is_prompted)


def _close(fields: Fields, closing: str) -> None:
    """All system text in its one place, also what stands between the turns, and the closing as the last of it."""
    between, turns = split(fields, _SPEAKERS)
    if between or turns:
        fields["messages"] = raw(turns)
    fields["system"] = raw(ended([*system_of(fields), *(content for _, content in between)], closing))


def _has_system(fields: Fields) -> bool:
    return not is_absent(fields, "system") and bytes(fields["system"]) not in _NO_WORDS


def _thinks(fields: Fields) -> bool:
    return not is_absent(fields, "thinking") and _THINKING.decode(fields["thinking"]).type not in {"", "disabled"}
