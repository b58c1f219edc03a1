"""The default engine: hibari, which needs no server, in a child process of Junto's own.

Not in Junto's own process although it could be imported there: while it turns words into phonemes it holds the interpreter's lock, and
answers of models would wait for it; its 200 MB and its crashes stay outside, too. Owns what is said to the child and how its answers are read.
"""

from __future__ import annotations

import asyncio
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from junto.core.errors import InvalidField, UpstreamFailed
from junto.ports.speech import Voice
from junto.providers.speech import frames
from junto.providers.speech.child import Child
from junto.providers.speech.engine import IDLE_SECONDS, SpeakingEngine

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "hibari"
_SAMPLE_RATE = 24_000  # Hz, of every voice
_SECONDS = 60.0  # for one sentence, and for the start where it is the first one
_MOST_BYTES = 1 << 26  # of PCM for one sentence: 23 minutes
_AT_ONCE = 4  # a hundred times real time, divided by four, is still ahead of every listener


def find(folder: Path | None = None) -> SpeakingEngine | None:
    """The engine with the voice that its wheel brings, and those of its others that lie in `folder`; None where it is not installed.

    Nothing is ever downloaded.
    """
    spec = find_spec("hibari")
    if spec is None or spec.origin is None:
        return None
    found = _voices(Path(spec.origin).parent / "assets", folder)
    return engine(found) if found else None


def engine(found: Mapping[str, tuple[Voice, Path]], *, idle: float = IDLE_SECONDS) -> SpeakingEngine:
    """The engine with these voices and the files of their weights."""
    speaker = HibariSpeaker({name: path for name, (_, path) in found.items()})
    return SpeakingEngine(NAME, [voice for voice, _ in found.values()], speaker, at_once=_AT_ONCE, idle=idle)


def _voices(assets: Path, folder: Path | None) -> dict[str, tuple[Voice, Path]]:
    """The list that hibari itself brings of its voices, as far as their files are here; that of the wheel first."""
    listed = json.loads((assets / "voices.json").read_text("utf-8"))
    found = {}
    for name, row in sorted(listed.items(), key=lambda item: not item[1].get("bundled", False)):
        place = assets if row.get("bundled", False) else folder
        path = None if place is None else place / str(row["file"])
        if path is not None and path.is_file():
            about = f"{row.get('accent', '')} {row.get('gender', '')}".strip()
            voice = Voice(
                name=name, engine=NAME, language=str(row["language"]), sample_rate=_SAMPLE_RATE, description=about
            )
            found[name] = (voice, path)
    return found


class HibariSpeaker:
    """Speaks in one child process, a sentence at a time."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self._paths = paths
        self.child = Child(NAME, [sys.executable, "-m", "junto.providers.speech.hibari_child"])

    async def say(self, sentence: str, voice: Voice, speed: float) -> bytes:
        process, _ = await self.child.running()
        asked = {"text": sentence, "voice": voice.name, "path": str(self._paths[voice.name]), "speed": speed}
        try:
            async with asyncio.timeout(_SECONDS):
                pcm = await self._ask(process, json.dumps(asked).encode() + b"\n")
        except asyncio.CancelledError:
            self.child.kill()  # it is in the middle of an answer that nobody will read
            raise
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            await self.child.broken()
            raise UpstreamFailed("The speech engine stopped in the middle of the text. It is started again.") from error
        self.child.works()
        if pcm is None:
            raise InvalidField(f"The voice {voice.name} cannot say a part of this text.")
        return pcm

    async def rest(self) -> None:
        await self.child.end()

    async def _ask(self, process: asyncio.subprocess.Process, line: bytes) -> bytes | None:
        """The PCM; None where the engine has refused the sentence."""
        if process.stdin is None or process.stdout is None:
            raise OSError("the child has no pipes")
        process.stdin.write(line)
        await process.stdin.drain()
        parts: list[bytes] = []
        total = 0
        while True:
            kind, length = frames.read_head(await process.stdout.readexactly(frames.HEAD_BYTES))
            if kind is frames.Kind.END:
                return b"".join(parts)
            if kind is frames.Kind.REFUSED:
                return None
            total += length
            if total > _MOST_BYTES:
                raise ValueError("a sentence has more sound than it can have")
            parts.append(await process.stdout.readexactly(length))
