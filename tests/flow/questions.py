"""What flow tests ask and what they hear, in no dialect: so that one test reads the same for every caller and every backend."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n not really a picture").decode()
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
TOOL = "get_weather"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request. `tools` offers the weather tool, `schema` asks for an answer in the form of WEATHER."""

    prompt: str
    stream: bool = False
    tools: bool = False
    think: bool = False
    image: bool = False
    schema: bool = False
    max_tokens: int | None = None
    replayed: Heard | None = None  # an answer with a tool call, to which `result` is what the tool said
    result: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One answer. `finish` is in the caller's own words, `said` the assistant's message as the caller would send it back."""

    text: str
    thinking: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    prompt_tokens: int = 0
    output_tokens: int = 0
    finish: str = ""
    said: Any = None
    call_id: str = ""


class Caller(Protocol):
    """Someone who speaks one dialect to Junto."""

    name: str

    def ask(self, model: str, question: Question) -> Heard:
        """Ask and hear the answer to its end."""

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        """Turn texts into vectors."""

    def models(self) -> list[str]:
        """List the names that can be asked for."""

    def close(self) -> None:
        """Let go of the connections."""
