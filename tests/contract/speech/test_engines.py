"""Both real engines: they speak, they come back, they stop, and they leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from typing import TYPE_CHECKING

import psutil
import pytest

from junto.core.errors import InvalidField, UpstreamFailed
from junto.speech.encoding import AudioFormat, encoded, encoder, seconds
from junto.speech.sentences import split
from tests.chaos.sizes import IS_LONG
from tests.contract.speech.engines import ENGINES, LONG, PARAGRAPH, SECONDS, engine_of, found, speakers
from tests.contract.speech.hearing import hear, probed_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from junto.providers.speech.engine import SpeakingEngine

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("name", ENGINES)]


HARD = (
    "12345678901234567890 and 9,999,999,999,999,999.99.",
    '[link](https://example.com/a?b=c) `code` [[h@l\'oU]] {"json": null}.',
    "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaah!",
    "\u00dcn\u00efcode fa\u00e7ade, na\u00efve \u2013 \u201cquoted\u201d \u2026 \U0001f642.",
)


def in_its_time(name: str) -> None:
    """Piper's starts take long: what ends it is tried by `make chaos`."""
    if name == "piper" and not IS_LONG:
        pytest.skip("make chaos tries it")


async def spoken(engine: SpeakingEngine, text: str, *, speed: float = 1.0) -> bytes:
    return b"".join([piece async for piece in engine.synthesise(split(text), engine.voices[0].name, speed=speed)])


async def written(pcm: bytes, sample_rate: int, audio_format: AudioFormat, folder: Path) -> Path:
    async def stream() -> AsyncGenerator[bytes]:
        yield pcm

    into = encoder(audio_format, sample_rate)
    data = b"".join([piece async for piece in encoded(stream(), into)])
    front = into.front()
    file = folder / f"paragraph.{audio_format}"
    file.write_bytes(front + data[len(front) :])
    return file


async def test_it_speaks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As MP3 and WAV, faster when it is asked to, whatever the text is; its process is started by the first text and told no secret."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    async with asyncio.timeout(SECONDS), engine_of(name) as engine:
        assert speakers() == []
        rate = engine.voices[0].sample_rate
        pcm = await spoken(engine, PARAGRAPH)
        for audio_format in (AudioFormat.MP3, AudioFormat.WAV):
            file = await written(pcm, rate, audio_format, tmp_path)
            heard = hear(file.read_bytes())
            assert heard.is_speech, heard
            assert 7 < len(PARAGRAPH) / heard.seconds < 25  # characters a second
            probed = probed_seconds(file)
            assert probed is None or probed == pytest.approx(heard.seconds, abs=0.2)
        fast = seconds(len(await spoken(engine, PARAGRAPH, speed=1.6)), rate)
        assert fast < heard.seconds / 1.25
        (child,) = speakers()
        assert "sk-canary" not in "".join(child.environ().values())
        for text in HARD:
            assert len(await spoken(engine, text)) > rate
        with pytest.raises(InvalidField):
            await spoken(engine, "\U0001f642 ... !")
        assert speakers() == [child]
    assert speakers() == []


async def test_it_falls_silent_when_nobody_listens_and_comes_back_when_it_was_killed(name: str) -> None:
    in_its_time(name)
    async with asyncio.timeout(SECONDS), engine_of(name) as engine:
        first = await listened_to(engine)
        (child,) = speakers()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        await silence(child)
        assert engine.free > 0

        second = await listened_to(engine)
        assert speakers() == [child]
        child.kill()
        with pytest.raises(UpstreamFailed):
            await second
        assert await spoken(engine, "It works again.")
        (after,) = speakers()
        assert after.pid != child.pid
    assert speakers() == []


async def listened_to(engine: SpeakingEngine) -> asyncio.Task[None]:
    """Somebody who listens to a long text, and has heard its beginning."""
    hears = asyncio.Event()

    async def listen() -> None:
        async for _ in engine.synthesise(LONG, engine.voices[0].name, speed=1.0):
            hears.set()

    listening = asyncio.create_task(listen())
    await hears.wait()
    return listening


async def silence(child: psutil.Process) -> None:
    """Until a process has stopped working: the sentence that was under way comes to its end, and no other one is begun."""
    quiet = 0
    while quiet < 3:
        before = sum(child.cpu_times()[:2])
        await asyncio.sleep(0.2)
        quiet = quiet + 1 if sum(child.cpu_times()[:2]) - before < 0.05 else 0


async def test_it_is_gone_when_junto_is_killed(name: str) -> None:
    in_its_time(name)
    found(name)
    script = (
        "import asyncio, sys\n"
        "from tests.contract.speech.engines import LONG, engine_of, speakers\n"
        "async def main():\n"
        f"    async with engine_of({name!r}) as engine:\n"
        "        async for _ in engine.synthesise(LONG, engine.voices[0].name, speed=1.0):\n"
        "            print('PID', speakers()[0].pid, flush=True)\n"
        "asyncio.run(main())\n"
    )
    with tempfile.TemporaryDirectory() as left:  # what it cannot clear away itself
        environment = {**os.environ, "TMPDIR": left}
        await killed(script, environment)


async def killed(script: str, environment: dict[str, str]) -> None:
    """Run a script that says its engine's PID, kill it then, and wait until the engine is gone."""
    async with asyncio.timeout(SECONDS):
        asked = [sys.executable, "-c", script]
        parent = await asyncio.create_subprocess_exec(*asked, stdout=asyncio.subprocess.PIPE, env=environment)
        assert parent.stdout is not None
        said = b"none"
        while said and not said.startswith(b"PID"):
            said = await parent.stdout.readline()
        assert said, "the parent ended before its engine spoke"
        child = psutil.Process(int(said.split()[1]))
        parent.kill()
        await parent.communicate()
        gone, _ = await asyncio.to_thread(psutil.wait_procs, [child], timeout=SECONDS)
    assert gone


async def test_it_rests_when_it_was_idle_for_long_and_speaks_again(name: str) -> None:
    if name == "piper":
        pytest.skip("the same code, and a slower start")
    async with asyncio.timeout(SECONDS), engine_of(name) as engine:
        engine._idle = 0.01
        for _ in range(2):
            assert await spoken(engine, "Hello there.")
            while speakers():  # noqa: ASYNC110  until it has ended
                await asyncio.sleep(0.01)
