"""Speech with the engine that is installed: what comes out is speech, of about the length that the words need."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import soundfile  # type: ignore[import-untyped]

from junto.providers.speech import hibari, piper
from tests.flow.running import RunningJunto

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARAGRAPH = (
    "The clocks were striking thirteen when the letter came. Nobody in the house had expected it, and for a while nobody "
    "wanted to open it. Then the youngest of them laughed, took a knife from the table, and read it aloud."
)
pytestmark = pytest.mark.skipif(hibari.find() is None, reason="junto[speech] is not installed")


@pytest.fixture(scope="module")
def junto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningJunto]:
    with RunningJunto(tmp_path_factory.mktemp("data"), {}) as running:
        yield running


def check(content: bytes, folder: Path, *, seconds: tuple[float, float]) -> None:
    """That it is sound of such a length, loud enough for speech, and pauses now and then as speech does."""
    samples, rate = soundfile.read(io.BytesIO(content))
    length = len(samples) / rate
    assert seconds[0] < length < seconds[1]
    tenth = rate // 10
    loudness = [float((samples[at : at + tenth] ** 2).mean()) ** 0.5 for at in range(0, len(samples) - tenth, tenth)]
    assert max(loudness) > 0.02
    assert min(loudness) < max(loudness) / 10
    assert sum(each > max(loudness) / 10 for each in loudness) > len(loudness) / 3
    if shutil.which("ffprobe"):
        file = folder / "sound"
        file.write_bytes(content)
        probe = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(file)]
        told = subprocess.run(probe, capture_output=True, text=True, check=True, timeout=60).stdout
        assert float(told) == pytest.approx(length, abs=0.2)


def engines() -> list[str]:
    return [name for name, engine in (("hibari", hibari), ("piper", piper)) if engine.find() is not None]


@pytest.mark.parametrize("engine", engines())
def test_each_engine_speaks_a_paragraph(junto: RunningJunto, tmp_path: Path, engine: str) -> None:
    body = {"model": engine, "input": PARAGRAPH, "response_format": "mp3"}
    answer = junto.http.post("/v1/audio/speech", json=body, timeout=120).raise_for_status()
    check(answer.content, tmp_path, seconds=(6, 25))


def test_a_job_of_two_chapters_is_two_files_of_speech(junto: RunningJunto, tmp_path: Path) -> None:
    body = {"chapters": [{"title": "One", "text": PARAGRAPH}, {"text": "And that was that."}], "wait_s": 100}
    view = junto.http.post("/tts", json=body, timeout=120).raise_for_status().json()
    assert view["status"] == "complete"
    for chapter, seconds in zip(view["chapters"], ((6, 25), (0.5, 4)), strict=True):
        content = junto.http.get(chapter["url"]).raise_for_status().content
        check(content, tmp_path, seconds=seconds)
        assert len(content) == chapter["bytes"]


def test_faster_is_shorter(junto: RunningJunto) -> None:
    lengths = []
    for speed in (0.8, 1.6):
        body = {"text": PARAGRAPH, "speed": speed, "format": "wav", "wait_s": 100}
        lengths.append(junto.http.post("/tts", json=body, timeout=120).raise_for_status().json()["audio_ms"])
    assert lengths[1] < 0.7 * lengths[0]


def told(junto: RunningJunto, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = "from junto.cli.main import run; run()"
    command = [sys.executable, "-c", program, "say", *arguments, "--url", junto.url]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_the_command_writes_a_file_and_lists_voices(junto: RunningJunto, tmp_path: Path) -> None:
    out = tmp_path / "morning.wav"
    said = told(junto, "Good morning to all of you.", "--out", str(out))
    assert said.returncode == 0, said.stderr
    check(out.read_bytes(), tmp_path, seconds=(0.8, 6))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []
    assert '"hibari"' in told(junto, "--list", "--json").stdout
    refused = told(junto, "x", "--out", str(tmp_path / "a.ogg"))
    assert (refused.returncode, ".mp3" in refused.stderr) == (1, True)
