"""What a route or an agent adds in bodies of `/api/chat` and `/api/generate`. Pure; the rest of the body stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.dialects.amendment import Amended, Amendment, bound, fill, is_absent, prompt_first, raw
from junto.dialects.closing import close_messages, drop_tools, ended, refuse_bypass
from junto.dialects.decoding import decode_part, fields_of
from junto.dialects.ollama.options import render_options

if TYPE_CHECKING:
    from junto.dialects.amendment import Fields
    from junto.dialects.closing import Content

_ROLES = frozenset({"user", "assistant", "tool"})
_BYPASS = ("raw", "suffix")  # Ollama leaves the system prompt out where the model is to fill in between
_USUAL_CONTEXT = 4_096  # tokens
_TEXT = msgspec.json.Decoder(str | None)
_OPTIONS = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)


def amend_chat(body: bytes, amendment: Amendment) -> Amended:
    """A chat."""
    fields = fields_of(body)
    _sample(fields, amendment)
    is_prompted = prompt_first(fields, amendment.system)
    if amendment.without_tools:
        drop_tools(fields)
    if amendment.closing is not None:
        refuse_bypass(fields)
        _keep_room(fields)
        close_messages(fields, amendment.closing, roles=_ROLES, knows_developer=False)
    return Amended(msgspec.json.encode(fields), is_prompted)


def amend_generate(body: bytes, amendment: Amendment) -> Amended:
    """A question; one that is `raw` goes to the model as it is, and so gets no system prompt: where one must be said, it is refused."""
    fields = fields_of(body)
    _sample(fields, amendment)
    has_system = not is_absent(fields, "system") and bytes(fields["system"]) != b'""'
    is_raw = bytes(fields.get("raw", b"")) == b"true"
    is_prompted = amendment.system is not None and not has_system and not is_raw
    if is_prompted:
        fields["system"] = raw(amendment.system)
    if amendment.closing is not None:
        refuse_bypass(fields, _BYPASS)
        _keep_room(fields)
        fields["system"] = raw(ended(_said(fields), amendment.closing))
    return Amended(msgspec.json.encode(fields), is_prompted)


def _keep_room(fields: Fields) -> None:
    """Leave out a context that is smaller than Ollama's own: what does not fit is cut, the system's words first."""
    given = fields.get("options")
    options = (decode_part(_OPTIONS, given, "options") if given is not None else None) or {}
    small = [name for name, value in options.items() if name.casefold() == "num_ctx" and _is_small(value)]
    if small:
        fields["options"] = raw({name: value for name, value in options.items() if name not in small})


def _is_small(value: msgspec.Raw) -> bool:
    number = msgspec.json.decode(value)
    return not isinstance(number, int | float) or number < _USUAL_CONTEXT


def _said(fields: Fields) -> list[Content]:
    given = fields.get("system")
    text = decode_part(_TEXT, given, "system") if given is not None else None
    return [text] if text else []


def _sample(fields: Fields, amendment: Amendment) -> None:
    given = fields.get("options")
    options = (decode_part(_OPTIONS, given, "options") if given is not None else None) or {}
    bound(options, ("num_predict",), amendment.max_tokens, usual="num_predict")
    if amendment.sampling is not None:
        fill(options, render_options(amendment.sampling, {}))
    if options:
        fields["options"] = raw(options)
