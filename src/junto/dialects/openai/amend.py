"""What a route or an agent adds in bodies of chat and of legacy completions. Pure; the rest of the body stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.dialects.amendment import Amended, Amendment, bound, fill, is_absent, prompt_first
from junto.dialects.closing import close_messages, drop_tools, no_place, refuse_bypass
from junto.dialects.decoding import fields_of
from junto.dialects.openai.requests import render_sampling

if TYPE_CHECKING:
    from junto.dialects.amendment import Fields


def amend_chat(body: bytes, amendment: Amendment) -> Amended:
    """A chat: a new bound is spelled `max_tokens`, which most servers know; a caller's own keeps its spelling."""
    fields = fields_of(body)
    _sample(fields, amendment, ("max_completion_tokens", "max_tokens"))
    is_prompted = prompt_first(fields, amendment.system)
    if amendment.without_tools:
        drop_tools(fields)
    if amendment.closing is not None:
        refuse_bypass(fields)
        close_messages(fields, amendment.closing)
    return Amended(msgspec.json.encode(fields), is_prompted)


def respell_limit(body: bytes) -> bytes:
    """A chat whose bound is spelled `max_completion_tokens` alone, for models that refuse the other; the same one without it."""
    fields = fields_of(body)
    if "max_tokens" not in fields:
        return body
    limit = fields.pop("max_tokens")
    if is_absent(fields, "max_completion_tokens"):
        fields["max_completion_tokens"] = limit
    return msgspec.json.encode(fields)


def amend_completion(body: bytes, amendment: Amendment) -> Amended:
    """A text completion, which has no place for a system prompt; raises Unsupported where one must be said."""
    if amendment.closing is not None:
        raise no_place()
    fields = fields_of(body)
    _sample(fields, amendment, ("max_tokens",))
    return Amended(msgspec.json.encode(fields))


def _sample(fields: Fields, amendment: Amendment, limits: tuple[str, ...]) -> None:
    bound(fields, limits, amendment.max_tokens, usual="max_tokens")
    if amendment.sampling is not None:
        fill(fields, render_sampling(amendment.sampling))
