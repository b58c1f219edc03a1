"""Whole answers leave after their records are written down, those of one turn of the loop together."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from junto.core.errors import JuntoError, Overloaded
from junto.web.outbox import Outbox

pytestmark = pytest.mark.anyio


class Scene:
    """What happens, in order: "commit" for the recorder's, bytes for what is written."""

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.broken = False
        self.outbox = Outbox(self._commit)

    def _commit(self) -> None:
        if self.broken:
            raise Overloaded("full")
        self.seen.append("commit")

    def write(self, data: bytes) -> None:
        self.seen.append(data)

    def leave(self, *answers: bytes) -> None:
        transport: Any = self
        for answer in answers:
            self.outbox.add(transport, answer, refusal)


def refusal(error: JuntoError) -> bytes:
    return b"refused: " + error.code.encode()


async def test_the_first_answer_of_a_turn_does_not_wait_and_the_others_share_a_commit() -> None:
    scene = Scene()
    scene.leave(b"1", b"2", b"3")
    assert scene.seen == ["commit", b"1"]
    await asyncio.sleep(0)
    assert scene.seen == ["commit", b"1", "commit", b"2", b"3"]


async def test_answers_whose_record_cannot_be_written_are_refused_instead() -> None:
    scene = Scene()
    scene.broken = True
    scene.leave(b"1", b"2")
    await asyncio.sleep(0)
    assert scene.seen == [b"refused: overloaded", b"refused: overloaded"]


async def test_flushing_writes_what_waits_before_the_turn_is_over() -> None:
    scene = Scene()
    scene.leave(b"1", b"2")
    scene.outbox.flush()
    assert scene.seen == ["commit", b"1", "commit", b"2"]
    await asyncio.sleep(0)
    assert scene.seen == ["commit", b"1", "commit", b"2"]
