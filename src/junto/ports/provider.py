"""What the gateway asks of a backend's provider. Providers implement it; only gateway/egress.py can satisfy `open`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from junto.core.capability import Capability
from junto.core.sensitivity import Locality

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.core.chat import Request
    from junto.core.completion import Completion, Embeddings
    from junto.core.events import Event
    from junto.core.sensitivity import Sensitivity
    from junto.dialects.wire import Wire
    from junto.ports.parts import Parts


class Clearance(Protocol):
    """Proof that egress checked this exchange against this deployment. Minted by gateway/egress.py alone."""

    @property
    def tier(self) -> Sensitivity:
        """The tier that was checked."""

    @property
    def must_stay(self) -> bool:
        """Whether the content may be seen on the premises only."""

    def spend(self, backend: str, upstream_model: str) -> None:
        """Use the proof up; raises Forbidden if it was made for something else or was used before."""


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds an attempt may wait in each phase."""

    connect: float = 5.0
    headers: float = 30.0
    first_token: float = 120.0
    idle: float = 60.0


class Call(msgspec.Struct, kw_only=True, eq=False):
    """One attempt's request. `wire` and `body` are the caller's own; `request` decodes them at most once, when needed.

    A provider that is cancelled before the answer begins sets `was_sent` where its upstream has the request already.
    """

    wire: Wire
    body: bytes
    request: Callable[[], Request]
    model: str  # the upstream's name for the model
    stream: bool
    wants_usage: bool
    deadlines: Deadlines
    extra_head: bytes = b""  # header lines of the caller's dialect that a relay passes on, each ended by CRLF
    parts: Parts | None = None  # for a provider that composes its answers
    was_sent: bool = False


class Reply(Protocol):
    """An upstream that has begun to answer. Exactly one of the two ways of reading is valid, told by `relayed`.

    Every reading method raises UpstreamFailure. `close` is synchronous, safe to call twice, and aborts the upstream at
    once if its answer was not read to the end.
    """

    relayed: bool  # True: bytes in the caller's own wire; False: events or a completion

    async def read(self) -> bytes:
        """Relayed: the next piece of the body, b"" at its end."""

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """Relayed: hand pieces to `take` as they come, as long as it gives True; `read` gives what is left and tells why."""

    async def events(self) -> Sequence[Event]:
        """Translated stream: the next events; the last one of all is a Finish or a Failure, after it: ()."""

    async def whole(self) -> Completion | Embeddings:
        """Translated, not streamed: the whole answer."""

    def close(self, *, finished: bool = False) -> None:
        """Let go of the upstream; `finished`: the answer came to its own end, so its connection may be kept."""


class FoundModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a backend says it has. None means the backend does not say."""

    name: str
    locality: Locality | None = None  # CLOUD where the backend's own tag says so; None: as configured
    capabilities: Capability | None = None
    context_length: int | None = None
    size_bytes: int | None = None
    family: str = ""
    parameter_size: str = ""
    quantization: str = ""
    digest: str = ""
    modified_at: str = ""


class Resident(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is in a backend's memory now."""

    name: str
    size_bytes: int = 0
    vram_bytes: int = 0
    expires_at: str = ""
    context_length: int | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What one heartbeat learned. `residents` is None where the backend cannot tell."""

    models: tuple[FoundModel, ...]
    residents: tuple[Resident, ...] | None = None
    version: str = ""


class Provider(Protocol):
    """One backend, spoken to. All but `open` carry no user content and need no clearance."""

    name: str  # the backend's name

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        """Send the request and wait for the answer to begin; raises UpstreamFailure."""

    async def probe(self) -> Probe:
        """Ask for health, models and residency; raises UpstreamFailure."""

    async def load(self, model: str) -> None:
        """Bring a model into memory; raises Unsupported where there is no such thing."""

    async def unload(self, model: str) -> None:
        """Put a model out of memory."""

    async def start(self) -> None:
        """Start what the backend needs (a child process); most need nothing."""

    async def close(self) -> None:
        """Close connections and child processes; safe to call twice."""
