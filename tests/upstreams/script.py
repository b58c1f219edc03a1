"""A script: what an upstream will answer next, and the record of what it was asked.

One script may be shared by several servers, so that a test sees one order of events. Nothing here knows a wire
format or a socket.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable

from tests.upstreams.ask import Ask
from tests.upstreams.echo import echo
from tests.upstreams.plan import Call, Fail, Gate, Scripted, Usage
from tests.upstreams.received import POLL, Received, until

__all__ = ["Call", "Fail", "Gate", "Script", "Scripted", "Usage"]


class Script:
    """A FIFO of planned answers for inference, answers by path, a default, and every request received."""

    def __init__(self, *answers: Scripted, default: Callable[[Ask], Scripted] = echo) -> None:
        self._lock = threading.Lock()
        self._planned: deque[Scripted] = deque(answers)
        self._by_path: defaultdict[str, deque[Scripted]] = defaultdict(deque)
        self._always_by_path: dict[str, Scripted] = {}
        self._default = default
        self._requests: list[Received] = []
        self._asks: list[Ask] = []

    def plan(self, *answers: Scripted) -> None:
        """Append answers for the next inference requests, first come first served."""
        with self._lock:
            self._planned.extend(answers)

    def plan_at(self, path: str, *answers: Scripted) -> None:
        """Append answers for the next requests on one path; they go before `plan`, and break lists and probes too."""
        with self._lock:
            self._by_path[path].extend(answers)

    def always(self, answer: Scripted | Callable[[Ask], Scripted]) -> None:
        """Answer so from now on whenever nothing is planned."""
        with self._lock:
            self._default = answer if callable(answer) else lambda _ask: answer

    def always_at(self, path: str, answer: Scripted | None) -> None:
        """Answer so on one path from now on, until called again with None."""
        with self._lock:
            if answer is None:
                self._always_by_path.pop(path, None)
            else:
                self._always_by_path[path] = answer

    def record(self, received: Received) -> None:
        """Keep a request; called by servers."""
        with self._lock:
            self._requests.append(received)

    def planned_at(self, path: str) -> Scripted | None:
        """Take what is planned for a path, if anything; called by servers."""
        with self._lock:
            queue = self._by_path[path]
            return queue.popleft() if queue else self._always_by_path.get(path)

    def answer(self, ask: Ask) -> Scripted:
        """Take the next planned answer, or make the default one; called by servers."""
        with self._lock:
            self._asks.append(ask)
            if self._planned:
                return self._planned.popleft()
            default = self._default
        return default(ask)

    @property
    def requests(self) -> list[Received]:
        """Every request in the order of arrival."""
        with self._lock:
            return list(self._requests)

    @property
    def asks(self) -> list[Ask]:
        """Every inference request, reduced to what it asked for."""
        with self._lock:
            return list(self._asks)

    def requests_to(self, path: str) -> list[Received]:
        """Every request to one path in the order of arrival."""
        return [received for received in self.requests if received.path == path]

    @property
    def inferences(self) -> list[Received]:
        """Every POST that carries content of a user, in the order of arrival: no `/api/show`, no load or unload."""
        return [one for one in self.requests if one.method == "POST" and carries_content(one)]

    @property
    def remaining(self) -> int:
        """How many planned answers nobody has asked for yet."""
        with self._lock:
            return len(self._planned) + sum(len(queue) for queue in self._by_path.values())

    def take_back(self) -> None:
        """Forget what is planned."""
        with self._lock:
            self._planned.clear()
            self._by_path.clear()

    def clear(self) -> None:
        """Forget every request received so far; plans stay."""
        with self._lock:
            self._requests.clear()
            self._asks.clear()

    async def arrived(self, count: int = 1, within: float = 5.0) -> list[Received]:
        """Wait without blocking the loop until so many inference requests came in; AssertionError when late."""
        came = await until(lambda: len(self.inferences) >= count, within)
        assert came, f"{len(self.inferences)} of {count} requests arrived within {within} s"
        return self.inferences

    def wait_arrived(self, count: int = 1, within: float = 5.0) -> list[Received]:
        """Block until so many inference requests came in; AssertionError when late."""
        deadline = time.monotonic() + within
        while len(self.inferences) < count and time.monotonic() < deadline:
            time.sleep(POLL)
        assert len(self.inferences) >= count, f"{len(self.inferences)} of {count} requests arrived"
        return self.inferences


def carries_content(received: Received) -> bool:
    """Tell whether a POST carries content of a user; one whose body is not JSON is taken to."""
    if received.path == "/api/show":
        return False
    try:
        body = received.json
    except ValueError:
        return True
    if received.path in {"/api/generate", "/api/chat"} and isinstance(body, dict):
        return bool(body.get("prompt") or body.get("messages"))
    return True
