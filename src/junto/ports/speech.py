"""Speech as its service asks engines for it. An engine turns one sentence into sound; text, encoding and files are speech/'s."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """A voice by its name among all engines'; `sample_rate` is in Hz, `language` a BCP 47 tag."""

    name: str
    engine: str
    language: str
    sample_rate: int
    description: str = ""


class Engine(Protocol):
    """One engine, which works outside of the event loop, and is started again when it crashes."""

    @property
    def name(self) -> str:
        """What it is called: hibari, piper."""

    @property
    def voices(self) -> Sequence[Voice]:
        """The voices that it has, the first one its usual one."""

    @property
    def free(self) -> int:
        """How many texts it can begin on now without making anybody wait."""

    def synthesise(self, sentences: Sequence[str], voice: str, *, speed: float) -> AsyncGenerator[bytes]:
        """Mono 16-bit little-endian PCM at the voice's rate, in the order of the sentences, as it is made.

        Closing the generator stops the engine's work on it. Raises core.errors.UpstreamFailed where the engine crashed or did not
        answer in time: it is then started again, and the text may be tried anew.
        """

    async def start(self) -> None:
        """Make ready; safe to call twice."""

    async def stop(self) -> None:
        """End it, and whatever it has started."""
