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
        """How many texts it can begin on now without making anybody wait; more of them take turns, sentence by sentence."""

    def synthesise(self, sentences: Sequence[str], voice: str, *, speed: float) -> AsyncGenerator[bytes]:
        """Mono 16-bit little-endian PCM at the voice's rate, in the order of the sentences, as it is made.

        `voice` is one of `voices` by its name; a speed of 1.0 is the voice's own pace. No piece is longer than PIECE_BYTES, and no
        sentence is begun before the one in front of it was taken. Closing the generator stops the engine's work on it, at the
        latest with the sentence under way. Raises core.errors.UpstreamFailed where the engine crashed or did not answer in time: it is
        then started again, and the text may be tried anew; InvalidField where the voice cannot say it.
        """

    async def start(self) -> None:
        """Make ready; safe to call twice. No process is started before the first text, nor kept when there is none for minutes."""

    async def stop(self) -> None:
        """End it, and whatever it has started."""


PIECE_BYTES = 1 << 16  # the longest piece of PCM: 1.4 seconds at 24 kHz
