"""A worker whose metrics' port is taken says so, and what to do."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

import pytest

from junto.bootstrap.worker import MetricsRefused, metrics_listener

pytestmark = pytest.mark.anyio


async def test_a_port_that_is_taken_is_named_with_the_option_for_another() -> None:
    async def scrape() -> bytes:
        return b""

    node: Any = SimpleNamespace(observing=SimpleNamespace(scrape=scrape))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(MetricsRefused) as refused:
            await metrics_listener(cast("Any", node), "127.0.0.1", port)
    assert f"127.0.0.1:{port} (Address already in use)" in str(refused.value)
    assert "--metrics-port" in str(refused.value)
    assert await metrics_listener(node, "127.0.0.1", None) is None
