"""What a caller's metadata says about sensitivity: read in every wire, refused where it is no text, never left out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from junto.core.errors import InvalidField
from junto.dialects import anthropic, native, ollama, openai
from junto.dialects.wire import Wire

SAID: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "prompt": "hi", "input": "hi", "max_tokens": 9}
WIRES = {
    openai.CHAT: ("messages",),
    openai.COMPLETIONS: ("prompt",),
    openai.EMBEDDINGS: ("input",),
    anthropic.MESSAGES: ("messages", "max_tokens"),
    ollama.CHAT: ("messages",),
    ollama.GENERATE: ("prompt",),
    ollama.EMBED: ("input",),
    ollama.EMBEDDINGS: ("prompt",),
    native.COMPLETE: ("messages",),
    native.COMPLETE_STREAM: ("messages",),
}

each_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


def body(wire: Wire, **more: Any) -> bytes:
    return msgspec.json.encode({"model": "m", **{name: SAID[name] for name in WIRES[wire]}, **more})


@each_wire
def test_metadata_says_the_sensitivity(wire: Wire) -> None:
    head = wire.peek(body(wire, metadata={"sensitivity": "confidential", "task_type": "triage", "n": 1}))
    assert head.metadata == {"sensitivity": "confidential", "task_type": "triage"}


@each_wire
@pytest.mark.parametrize("value", [None, 2, True, ["confidential"], {"tier": "confidential"}])
def test_a_sensitivity_that_is_no_text_is_refused(wire: Wire, value: object) -> None:
    """Left out, it would mean the default, which may be lower than what was meant."""
    with pytest.raises(InvalidField, match=r"metadata\.sensitivity"):
        wire.peek(body(wire, metadata={"sensitivity": value}))


@pytest.mark.parametrize(
    ("own", "label", "counts"),
    [
        ("public", "confidential", "confidential"),
        ("confidential", "public", "confidential"),
        (None, "internal", "internal"),
        ("internal", None, "internal"),
    ],
)
def test_of_two_sensitivities_in_a_native_body_the_stricter_one_counts(
    own: str | None, label: str | None, counts: str
) -> None:
    metadata = {} if label is None else {"sensitivity": label}
    head = native.COMPLETE.peek(body(native.COMPLETE, sensitivity=own, metadata=metadata))
    assert head.metadata["sensitivity"] == counts


def test_a_native_body_with_a_wrong_sensitivity_beside_a_right_one_is_refused() -> None:
    with pytest.raises(InvalidField):
        native.COMPLETE.peek(body(native.COMPLETE, sensitivity="secret", metadata={"sensitivity": "public"}))
