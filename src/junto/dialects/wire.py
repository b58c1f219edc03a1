"""What a dialect is to the rest of Junto: a set of wires, each one endpoint's shape in both directions.

A wire is served to callers (parse_request, render_response, event_renderer, render_error) and spoken to backends
(render_request, parse_response, event_parser, parse_error). When both sides speak the same wire the bytes are relayed:
`relay_request` rewrites what must change on the way in, a `Tap` watches them on the way out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.dialects.amendment import unchanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.core.chat import Request
    from junto.core.completion import Completion, Embeddings
    from junto.core.errors import FailureKind, JuntoError, UpstreamFailure
    from junto.core.events import Event
    from junto.core.usage import Usage
    from junto.dialects.amendment import Amended, Amendment


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The few fields of a request that routing and relaying need, read without decoding the rest.

    `prompt_tokens` is an estimate; `metadata` holds the string values of the body's metadata object, in which a caller may
    say `sensitivity` and `task_type`; `max_tokens` is of each of the `answers` that are asked for; `wants_usage` is whether a stream's usage was asked for (true where the
    dialect always sends it).
    """

    model: str
    stream: bool = False
    needs: Capability = Capability.CHAT
    prompt_tokens: int = 0
    max_tokens: int | None = None
    answers: int = 1
    wants_usage: bool = True
    metadata: dict[str, str] = {}


class Rendering(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says about itself besides its content: `model` as the caller named it, seconds since the epoch.

    `base64` asks for vectors as base64 (EmbedRequest.base64).
    """

    id: str
    model: str
    created: int
    include_usage: bool = True
    base64: bool = False


class EventParser(Protocol):
    """Bytes of an upstream's stream in, events out; how the bytes are split makes no difference."""

    def feed(self, data: bytes) -> list[Event]:
        """The events that became complete with these bytes. Never raises: what cannot be read becomes a Failure."""

    def end(self) -> list[Event]:
        """The upstream's body is complete: what remains, with a Failure(RESET) if no Finish or Failure was seen."""


class EventRenderer(Protocol):
    """Events in, bytes of the caller's stream out."""

    def render(self, events: list[Event]) -> bytes:
        """The bytes for these events, b"" when there is nothing to say yet; Finish includes the stream's closing bytes."""

    def error(self, error: JuntoError) -> bytes:
        """The bytes that end a stream which has already begun with an error."""


class Tap(Protocol):
    """Watches a relayed body go by: decides what may pass, and remembers what settlement needs.

    Relayed streams pass untouched but for what must not pass: an upstream's error text, a usage chunk nobody asked for,
    anything after the end. `finished` turns true when the terminal marker was seen (then `feed` returned it);
    `failure` when the body turned out to be no answer (then nothing more may be fed).
    """

    finished: bool
    failure: FailureKind | None
    usage: Usage | None
    finish_reason: str

    @property
    def output_characters(self) -> int:
        """An estimate of what was streamed, for answers that break off or carry no usage; may take a while to make."""

    def feed(self, data: bytes) -> bytes:
        """The bytes that may be passed on; the same object when nothing had to change."""

    def end(self) -> bytes:
        """The upstream's body is complete: closing bytes that were missing. Sets `failure` if the answer was cut short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One endpoint of a dialect, as functions.

    `path` is where backends serve it, below their base URL. `whole_type` and `stream_type` are content types.
    Functions that read a caller's bytes raise InvalidRequest errors; those that read an upstream's raise
    UpstreamFailure(PROTOCOL).
    """

    name: str  # "openai.chat"
    dialect: str  # "openai"
    operation: Operation
    path: str
    whole_type: str
    stream_type: str
    peek: Callable[[bytes], Head]
    parse_request: Callable[[bytes], Request]
    render_request: Callable[[Request, str, bool], bytes]  # request, upstream model, stream
    relay_request: Callable[[bytes, str], bytes]  # body, upstream model: also asks for usage in streams
    parse_response: Callable[[bytes], Completion | Embeddings]
    render_response: Callable[[Completion | Embeddings, Rendering], bytes]
    event_parser: Callable[[], EventParser]
    event_renderer: Callable[[Rendering], EventRenderer]
    stream_tap: Callable[[bool], Tap]  # whether the caller wants the usage
    whole_tap: Callable[[], Tap]  # fed once with the whole body
    render_error: Callable[[JuntoError], bytes]
    parse_error: Callable[[int, bytes], UpstreamFailure]  # status, body
    amend: Callable[[bytes, Amendment], Amended] = unchanged  # what a route of a task adds to a caller's body
    passed_headers: frozenset[bytes] = frozenset()  # of the caller's, in lower case, that a relay hands to the upstream
