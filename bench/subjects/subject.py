"""What a gateway must tell the benchmark about itself.

Shapes only: starting, timing and ending is `bench.process`'s business, the same for every gateway.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench import payload

CHAT_PATH = "/v1/chat/completions"


class Unavailable(Exception):
    """A gateway cannot be measured here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where and how to call a gateway."""

    port: int
    path: str = CHAT_PATH
    stream_path: str = CHAT_PATH
    headers: Mapping[str, str] = field(default_factory=dict)
    model: str = payload.MODEL
    stream_models: Mapping[str, str] = field(default_factory=dict)
    """Models whose upstream speaks another dialect, by the dialect's name."""
    unary_only: bool = False
    """Only whole answers are measured through it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start a gateway, in the foreground, as one process tree."""

    argv: tuple[str, ...]
    door: Door
    env: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = 30.0
    """Seconds until the first good answer, at most."""
    enter: Callable[[Door], Mapping[str, str]] | None = None
    """Called after the first good answer: what callers are measured with instead of the door's own headers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A gateway that somebody else started."""

    door: Door
    pid: int


class Subject(Protocol):
    """A gateway that the benchmark can measure."""

    name: str
    slow: bool
    """Costs milliseconds per request: it gets fewer cold starts and streams, or a run would take an hour."""

    def obtain(self) -> str:
        """Make sure it is installed and return its version; raise Unavailable with the reason."""

    def launch(self, *, port: int, mock_port: int, folder: Path) -> Launch | Attached:
        """Write its configuration into `folder` and return how to start it on `port` in front of the mock."""
