"""Waiting for what happens soon, without saying when."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; raises TimeoutError when it does not come to pass at all."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110  what is waited for knows no event
            await asyncio.sleep(0.005)
