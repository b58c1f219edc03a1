"""What must change in a request before its own bytes go to an upstream: `model`, and asking for usage in streams.

Everything else survives byte for byte. A field that Junto reads is also made unambiguous: a second spelling of it
(a repeated key, `Model` beside `model`) could mean one model to Junto's policies and another to the upstream.
"""

from __future__ import annotations

import msgspec

from junto.dialects.decoding import decode_part, fields_of, is_minimal

_READ_BY_JUNTO = frozenset(
    {
        "model",
        "messages",
        "prompt",
        "input",
        "stream",
        "stream_options",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "best_of",
        "tools",
        "functions",
        "metadata",
    }
)
_PLAIN = _READ_BY_JUNTO | {
    "temperature",
    "top_p",
    "stop",
    "seed",
    "user",
    "tool_choice",
    "response_format",
    "reasoning_effort",
}
"""Names that are no other spelling of one that Junto reads: those, and others that are often sent."""
_options = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_encode = msgspec.json.encode
_TRUE = msgspec.Raw(b"true")


def relay_request(body: bytes, upstream_model: str) -> bytes:
    """The body for an upstream that speaks the same wire; the same object when nothing has to change."""
    fields = fields_of(body)
    changed = not is_minimal(body, fields)
    if not fields.keys() <= _PLAIN:
        for key in fields.keys() - _PLAIN:
            # Some JSON readers (Go's) match names without regard to case.
            if key.casefold() in _READ_BY_JUNTO:
                del fields[key]
                changed = True
    model = _encode(upstream_model)
    if bytes(fields["model"]) != model:
        fields["model"] = msgspec.Raw(model)
        changed = True
    stream = fields.get("stream")
    if stream is not None and bytes(stream) == b"true":
        changed |= _ask_for_usage(fields)
    return _encode(fields) if changed else body


def _ask_for_usage(fields: dict[str, msgspec.Raw]) -> bool:
    given = fields.get("stream_options")
    options = (decode_part(_options, given, "stream_options") if given is not None else None) or {}
    asked = options.get("include_usage")
    if asked is not None and bytes(asked) == b"true":
        return False
    options["include_usage"] = _TRUE
    fields["stream_options"] = msgspec.Raw(_encode(options))
    return True
