"""An application that is built when it is first asked, once for all."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from junto.web.on_demand import OnDemand

if TYPE_CHECKING:
    from junto.web.asgi import App, Receive, Scope, Send

pytestmark = pytest.mark.anyio


class Workshop:
    """Builds an application that counts who asked; `open` lets a build under way go on."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.built = 0
        self.asked = 0
        self.open = threading.Event()

    def build(self) -> App:
        self.open.wait(10)
        if self.broken:
            raise RuntimeError("no such module")
        self.built += 1
        return self._application

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1


async def _ask(application: OnDemand) -> None:
    nothing: Any = None
    await application({"type": "http"}, nothing, nothing)


async def test_nothing_is_built_before_somebody_asks_and_then_once_for_all() -> None:
    workshop = Workshop()
    application = OnDemand(workshop.build)
    assert workshop.built == 0
    waiting = [asyncio.create_task(_ask(application)) for _ in range(3)]
    await asyncio.sleep(0)  # the loop is free meanwhile
    workshop.open.set()
    await asyncio.gather(*waiting)
    await _ask(application)
    assert (workshop.built, workshop.asked) == (1, 4)


async def test_one_who_hangs_up_while_it_is_built_takes_nothing_from_the_others() -> None:
    workshop = Workshop()
    application = OnDemand(workshop.build)
    first, second = (asyncio.create_task(_ask(application)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    workshop.open.set()
    await second
    assert first.cancelled()
    assert (workshop.built, workshop.asked) == (1, 1)


async def test_a_build_that_fails_is_seen_by_who_asked_and_tried_again_by_the_next() -> None:
    workshop = Workshop(broken=True)
    workshop.open.set()
    application = OnDemand(workshop.build)
    with pytest.raises(RuntimeError, match="no such module"):
        await _ask(application)
    workshop.broken = False
    await _ask(application)
    assert (workshop.built, workshop.asked) == (1, 1)
