"""`junto say`: have a text said aloud, into a file; or list the voices."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from junto.cli.options import DEFAULT_URL, JsonOption, KeyOption, UrlOption
from junto.cli.output import fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from junto.cli.remote import Junto

_PATH = "/v1/audio/speech"
_FORMATS = {".mp3": "mp3", ".wav": "wav", ".pcm": "pcm"}
_COLUMNS = ("voice", "engine", "language", "description")


def say(
    context: typer.Context,
    text: Annotated[str | None, typer.Argument(help="`-`, or none: what comes through a pipe.")] = None,
    *,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="A file with the text; `-` is the pipe.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="An .mp3, .wav or .pcm file; `-` is the pipe.")] = Path(
        "speech.mp3"
    ),
    voice: Annotated[str | None, typer.Option("--voice", "-v", help="A voice; --list shows them.")] = None,
    speed: Annotated[float, typer.Option(min=0.25, max=4.0, help="1 is the voice's own pace.")] = 1.0,
    model: Annotated[str, typer.Option("--model", "-m", help="`hibari` or `piper` for that engine.")] = "tts-1",
    sensitivity: Annotated[str | None, typer.Option(help="public, internal or confidential.")] = None,
    lists: Annotated[bool, typer.Option("--list", help="List the voices instead of saying anything.")] = False,
    as_json: JsonOption = False,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
) -> None:
    """Have a text said aloud, into a file."""
    from junto.cli.remote import junto_at

    with junto_at(context, url, key) as junto:
        if lists:
            _list(junto, as_json=as_json)
            return
        to_pipe = str(out) == "-"
        if not to_pipe and out.suffix.lower() not in _FORMATS:
            fail(f"{out}: the file's name ends in one of {', '.join(_FORMATS)}.")
        body: dict[str, Any] = {
            "model": model,
            "input": _words(text, file),
            "voice": voice,
            "speed": speed,
            "response_format": "mp3" if to_pipe else _FORMATS[out.suffix.lower()],
        }
        headers = {"x-junto-sensitivity": sensitivity} if sensitivity else {}
        size = _written(junto, body, headers, None if to_pipe else out)
    if not to_pipe:
        print(f"{out}: {size / 1000:.0f} kB")


def _words(text: str | None, file: Path | None) -> str:
    if file is not None and text is not None:
        fail("Either a text or --file, and not both.")
    if file is not None and str(file) != "-":
        return _read(file)
    if text is not None and text != "-":
        return text
    if sys.stdin.isatty():
        fail("What is to be said? Give a text, --file, or something through a pipe.")
    return sys.stdin.read()


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        fail(f"{file} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fail(f"{file} is no text in UTF-8.")


def _written(junto: Junto, body: Mapping[str, Any], headers: Mapping[str, str], out: Path | None) -> int:
    """Write the sound as it comes; how many bytes. A file has its name when it is whole."""
    if out is None:
        with junto.stream(_PATH, body, headers) as answer:
            return _poured(answer.iter_bytes(), sys.stdout.buffer)
    draft = out.with_name(f"{out.name}.part")
    try:
        with junto.stream(_PATH, body, headers) as answer, draft.open("wb") as target:
            size = _poured(answer.iter_bytes(), target)
        draft.replace(out)
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}")
    finally:
        draft.unlink(missing_ok=True)
    return size


def _poured(pieces: Iterator[bytes], target: BinaryIO) -> int:
    return sum(target.write(piece) for piece in pieces)


def _list(junto: Junto, *, as_json: bool) -> None:
    from junto.cli.output import print_json, print_table

    found = junto.get("/tts/voices")
    if as_json:
        print_json(found)
    elif not found["voices"]:
        print("There are no voices: Junto runs without junto[speech] and junto[piper].")
    else:
        rows = [(one["name"], one["engine"], one["language"], one["description"]) for one in found["voices"]]
        print_table(_COLUMNS, rows)
