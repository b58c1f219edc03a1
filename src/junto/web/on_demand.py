"""An application that is built when it is first asked: what many processes never need costs them neither time nor memory.

Knows not what it builds. Requests under way elsewhere are not held up meanwhile: it is built in a thread.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.web.asgi import App, Receive, Scope, Send


class OnDemand:
    """The application that `build` makes, once, for all who ask; when it raises, those who waited see it, and the next tries again."""

    def __init__(self, build: Callable[[], App]) -> None:
        self._build = build
        self._built: App | None = None
        self._building: asyncio.Future[App] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        application = self._built or await self._wait()
        await application(scope, receive, send)

    async def _wait(self) -> App:
        if self._building is None:
            self._building = asyncio.ensure_future(asyncio.to_thread(self._build))
            self._building.add_done_callback(self._keep)
        return await asyncio.shield(self._building)  # one who hangs up does not end it for the others

    def _keep(self, building: asyncio.Future[App]) -> None:
        self._building = None
        if building.cancelled() or building.exception() is not None:
            return
        self._built = building.result()
        if (
            gc.get_freeze_count()
        ):  # it lives as long as what the process had at its start, and is not walked over either
            gc.freeze()
