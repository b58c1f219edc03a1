"""The door: inference paths are served here with one dictionary look-up; everything else goes to the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.web.asgi import App, Receive, Scope, Send


class Door:
    """The outermost ASGI application. `handlers` is keyed by path and serves POST only."""

    def __init__(self, handlers: Mapping[str, App], application: App) -> None:
        self._handlers = handlers
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            handler = self._handlers.get(scope["path"])
            if handler is not None:
                await handler(scope, receive, send)
                return
        await self._application(scope, receive, send)
