"""`junto say`: what it asks for, and what it leaves on the disk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx2

from tests.unit.cli.running import run

if TYPE_CHECKING:
    from pathlib import Path

VOICES = {
    "voices": [{"name": "heart", "engine": "hibari", "language": "en-US", "sample_rate": 24000, "description": "warm"}],
    "default": "heart",
    "formats": ["mp3", "wav"],
}


class Fake:
    """A Junto that answers every text with the same sound, or with a refusal."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.asked: list[dict[str, object]] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/tts/voices":
            return httpx2.Response(200, json=VOICES)
        self.asked.append(json.loads(request.content))
        if self.status != 200:
            return httpx2.Response(self.status, json={"error": {"message": "No such voice.", "code": "invalid_field"}})
        return httpx2.Response(200, content=b"sound")


def test_a_text_becomes_a_file_in_the_format_of_its_name(tmp_path: Path) -> None:
    fake, out = Fake(), tmp_path / "a.wav"
    said = run(fake, "say", "Hello.", "--out", str(out), "--voice", "heart", "--speed", "1.5")
    assert said.exit_code == 0, said.output
    assert out.read_bytes() == b"sound"
    assert fake.asked == [
        {"model": "tts-1", "input": "Hello.", "voice": "heart", "speed": 1.5, "response_format": "wav"}
    ]


def test_text_comes_from_a_file_or_a_pipe_too(tmp_path: Path) -> None:
    fake, text, out = Fake(), tmp_path / "text.txt", tmp_path / "a.mp3"
    text.write_text("From a file.")
    assert run(fake, "say", "-f", str(text), "-o", str(out)).exit_code == 0
    assert run(fake, "say", "-", "-o", str(out), input="From a pipe.").exit_code == 0
    assert run(fake, "say", "-f", "-", "-o", str(out), input="Piped.").exit_code == 0
    assert [asked["input"] for asked in fake.asked] == ["From a file.", "From a pipe.", "Piped."]
    both = run(fake, "say", "x", "-f", str(text), "-o", str(out))
    assert both.exit_code == 1


def test_a_file_that_cannot_be_read_is_told_in_a_few_words(tmp_path: Path) -> None:
    missing, binary = tmp_path / "missing.txt", tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\xfa")
    said = run(Fake(), "say", "-f", str(missing), "-o", str(tmp_path / "a.mp3"))
    assert said.stderr == f"{missing} cannot be read: No such file or directory\n"
    said = run(Fake(), "say", "-f", str(binary), "-o", str(tmp_path / "a.mp3"))
    assert said.stderr == f"{binary} is no text in UTF-8.\n"


def test_what_is_refused_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    out = tmp_path / "a.mp3"
    out.write_bytes(b"before")
    refused = run(Fake(422), "say", "Hello.", "-v", "nobody", "-o", str(out))
    assert refused.exit_code == 1
    assert "No such voice." in refused.output
    assert out.read_bytes() == b"before"
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp3"]
    assert run(Fake(), "say", "x", "-o", str(tmp_path / "a.ogg")).exit_code == 1


def test_voices_are_listed() -> None:
    listed = run(Fake(), "say", "--list")
    assert "heart" in listed.output
    assert json.loads(run(Fake(), "say", "--list", "--json").output) == VOICES
