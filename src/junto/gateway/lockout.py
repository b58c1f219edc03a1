"""Tells the operator, once, that a backend refuses Junto's key: not with every request, and again when it worked in between.

Owns the one flag of that, which is in the backend's live facts. Decides nothing about requests, and knows no key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from junto.routing.facts import BackendLive


def locked_out(live: BackendLive, *, backend: str, key_hint: str) -> None:
    """The backend answered 401, 402 or 403 to Junto itself; `key_hint` says where its key is configured."""
    if not live.locked_out:
        live.locked_out = True
        structlog.get_logger().warning("backend_refuses_key", backend=backend, look_at=key_hint or None)


def let_in(live: BackendLive) -> None:
    """The backend takes the key: the next refusal is news."""
    live.locked_out = False
