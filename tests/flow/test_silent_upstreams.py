"""An upstream that falls silent, or says nothing for ever, is given up in time, whatever stage it has reached."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.flow.malformed.good import DIALECTS, WHOLES, dumps, events, head
from tests.flow.malformed.ground import Ground, prepared
from tests.flow.malformed.verdict import ERROR, PATHS, verdict
from tests.upstreams import Hang, Sleep
from tests.upstreams.raw import chunk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx2

    from tests.upstreams.raw import Step

CALLERS = tuple(PATHS)
PATIENCE = 0.3  # seconds in each phase


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    with prepared(tmp_path, PATIENCE) as ground:
        yield ground


def stages(dialect: str, *, stream: bool) -> list[tuple[Step, ...]]:
    """What was sent before the silence."""
    begun = head(dialect, streamed=stream)
    said = events(dialect)[:-2] if stream else [dumps(WHOLES[dialect])[:50]]
    sent = [
        b"",
        b"HTTP/1.1 200 O",
        begun[:40],
        begun,
        begun + b"5",
        begun + chunk(said[0])[:-9],
        begun + chunk(said[0]),
    ]
    silences: list[tuple[Step, ...]] = [(one, Hang()) for one in sent]
    silences.append((begun, *map(chunk, said), Hang()))
    if not stream:
        silences.append((head(dialect, streamed=False, framing="Content-Length: 900") + said[0], Hang()))
    return silences


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_silent_upstream_is_given_up_at_every_stage(ground: Ground, *, stream: bool) -> None:
    """All of them at once, since each takes its time."""
    asks = []
    for dialect in DIALECTS:
        for caller in CALLERS:
            for steps in stages(dialect, stream=stream):
                ground.upstreams[dialect].plan(*steps)
                asks.append((caller, dialect))
    with ThreadPoolExecutor(len(asks)) as pool:
        answers = list(pool.map(lambda one: ground.ask(*one, stream=stream), asks))
    for (caller, _), answer in zip(asks, answers, strict=True):
        assert verdict(caller, answer.status_code, answer.content, stream=stream) == ERROR
    assert ground.junto.falls_idle()
    assert all(one.abandoned.wait(5) for server in ground.upstreams.values() for one in server.requests)


DRIPS = {
    "openai": b": still thinking\n\n",
    "ollama": b"\n",
    "anthropic": b'event: ping\ndata: {"type": "ping"}\n\n',
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_upstream_that_sends_nothing_but_signs_of_life_is_given_up_before_the_answer_began(
    ground: Ground, dialect: str
) -> None:
    """What is no answer keeps nobody waiting longer than the first token may take; a relayed sign of life is an answer."""
    drip = [step for _ in range(200) for step in (chunk(DRIPS[dialect]), Sleep(0.05))]
    ground.upstreams[dialect].always(head(dialect, streamed=True), *drip)
    callers = [caller for caller in CALLERS if caller != dialect]

    def ask(caller: str) -> httpx2.Response:
        return ground.ask(caller, dialect, stream=True)

    with ThreadPoolExecutor(len(callers)) as pool:
        answers = list(pool.map(ask, callers))
    for caller, answer in zip(callers, answers, strict=True):
        assert answer.status_code in {503, 504}
        assert verdict(caller, answer.status_code, answer.content, stream=True) == ERROR
    assert ground.junto.falls_idle()


def test_a_head_that_comes_byte_by_byte_is_given_up_in_time(ground: Ground) -> None:
    slow = [step for byte in head("openai", streamed=True) for step in (b"%c" % byte, Sleep(0.05))]
    ground.upstreams["openai"].always(*slow)
    answer = ground.ask("openai", "openai", stream=True)
    assert verdict("openai", answer.status_code, answer.content, stream=True) == ERROR
    assert ground.junto.falls_idle()
