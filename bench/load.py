"""The load generator: a process of its own that reads a `Load` as a line, warms up, waits for a line, then measures.

It prints `Ready`, `Progress` and `Done` as JSON lines. It must stay cheap: raw connections, no framework.
"""

import asyncio
import collections
import sys
from array import array
from time import perf_counter

import msgspec
import uvloop

from bench.answers import SAMPLE, fault
from bench.connection import Connection
from bench.spec import Done, Load, Outcome, Progress, Ready


def say(report: Ready | Progress | Done) -> None:
    """Print a report for the benchmark."""
    print(msgspec.json.encode(report).decode(), flush=True)


def head(load: Load) -> bytes:
    """Return the request as it goes over the wire."""
    body = load.body.encode()
    fields = {
        "Host": f"127.0.0.1:{load.port}",
        "User-Agent": "bench",
        "Accept": "*/*",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **load.headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {load.path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class Run:
    """One phase of load over open connections: sends, counts, checks, and knows when it is over."""

    def __init__(self, load: Load, *, requests: int | None, seconds: float | None, rate: float | None) -> None:
        self._load = load
        self._limit = requests
        self._seconds = seconds
        self._rate = rate
        self._idle: collections.deque[Connection] = collections.deque()
        self._late: collections.deque[float] = collections.deque()
        self._sent = 0
        self._busy = 0
        self._over = asyncio.Event()
        self._expired = False
        self._began = 0.0
        self._ended = 0.0
        self._done = 0
        self._reads = 0
        self._latencies = array("d")
        self._firsts = array("d")
        self.reasons: collections.Counter[str] = collections.Counter()

    async def drive(self, connections: list[Connection]) -> None:
        """Run to the end of the phase; answers under way at its end are waited for and counted."""
        loop = asyncio.get_running_loop()
        self._began = perf_counter()
        if self._seconds is not None:
            loop.call_later(self._seconds, self._expire)
        if self._rate is not None:
            self._idle.extend(connections)
            self._tick(loop)
        else:
            for index, connection in enumerate(connections):
                loop.call_later(index * self._load.stagger_s, self._next, connection)
        allowance = (self._seconds or 0.0) + self._load.patience_s
        try:
            await asyncio.wait_for(self._over.wait(), allowance)
        except TimeoutError:
            self.reasons["no answer in time"] += self._busy
        self._ended = perf_counter()

    def answered(self, connection: Connection, *, status: int, body: list[bytes]) -> None:
        """Count and check an answer, then use the connection again."""
        now = perf_counter()
        self._done += 1
        self._busy -= 1
        self._reads += connection.reads
        self._latencies.append(now - connection.started)
        self._firsts.append(connection.first_byte - connection.started)
        kind = self._load.kind
        decode = self._done % SAMPLE[kind] == 1
        wrong = fault(kind, status, b"".join(body), self._load.expect, decode=decode)
        if wrong is not None:
            self.reasons[wrong] += 1
        every = self._load.progress_every
        if every and self._done % every == 0:
            say(Progress(self._done))
        self._next(connection)

    def failed(self, connection: Connection, reason: str) -> None:
        """Count a failure; the connection is opened again a little later, so that a dead gateway is not hammered."""
        self._busy -= 1
        self.reasons[reason] += 1
        asyncio.get_running_loop().call_later(0.05, self._next, connection)

    def outcome(self) -> Outcome:
        """Return what was seen."""
        ordered = sorted(self._latencies)
        firsts = sorted(self._firsts)
        elapsed = self._ended - self._began
        return Outcome(
            requests=self._done,
            errors=self.reasons.total(),
            reasons=dict(self.reasons.most_common(5)),
            elapsed_s=elapsed,
            rate=self._done / elapsed if elapsed else 0.0,
            p50=_percentile(ordered, 0.50),
            p90=_percentile(ordered, 0.90),
            p99=_percentile(ordered, 0.99),
            worst=_percentile(ordered, 1.0),
            first_byte_p50=_percentile(firsts, 0.50),
            reads_per_answer=self._reads / self._done if self._done else 0.0,
        )

    def _may_send(self) -> bool:
        return not self._expired and (self._limit is None or self._sent < self._limit)

    def _expire(self) -> None:
        self._expired = True
        self._late.clear()
        if self._busy == 0:
            self._over.set()

    def _next(self, connection: Connection) -> None:
        if self._rate is not None:
            if self._late:
                self._send(connection, self._late.popleft())
            else:
                self._idle.append(connection)
        elif self._may_send():
            self._send(connection, None)
        if self._busy == 0 and not self._may_send():
            self._over.set()

    def _send(self, connection: Connection, due: float | None) -> None:
        self._sent += 1
        self._busy += 1
        connection.send(due)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send what is due at the given rate; what finds no free connection waits, and its wait is latency."""
        if self._expired or self._rate is None:
            return
        due = int((perf_counter() - self._began) * self._rate) - self._sent - len(self._late)
        for _ in range(due):
            moment = perf_counter()
            if self._idle:
                self._send(self._idle.popleft(), moment)
            else:
                self._late.append(moment)
        loop.call_later(0.001, self._tick, loop)


def _percentile(ordered: list[float], share: float) -> float:
    """Return a percentile of sorted seconds in milliseconds; 0 when there is none."""
    if not ordered:
        return 0.0
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Generator:
    """The connections, and the phases run over them one after the other."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._run = Run(load, requests=None, seconds=None, rate=None)
        self._opening: set[asyncio.Task[None]] = set()
        self._connections: list[Connection] = []

    def answered(self, connection: Connection, *, status: int, body: list[bytes]) -> None:
        """Pass an answer to the phase under way."""
        self._run.answered(connection, status=status, body=body)

    def failed(self, connection: Connection, reason: str) -> None:
        """Pass a failure to the phase under way."""
        self._run.failed(connection, reason)

    async def open(self) -> None:
        """Make the connections."""
        request = head(self._load)
        for _ in range(self._load.connections):
            connection = Connection(self, request, self._reopen)
            await self._connect(connection)
            self._connections.append(connection)

    async def phase(self, *, requests: int | None, seconds: float | None, rate: float | None = None) -> Run:
        """Run one phase to its end."""
        self._run = Run(self._load, requests=requests, seconds=seconds, rate=rate)
        await self._run.drive(self._connections)
        return self._run

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.close()

    async def _connect(self, connection: Connection) -> None:
        await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", self._load.port)

    def _reopen(self, connection: Connection) -> None:
        task = asyncio.ensure_future(self._connect(connection))
        self._opening.add(task)
        task.add_done_callback(lambda done: self._opened(connection, done))

    def _opened(self, connection: Connection, task: asyncio.Task[None]) -> None:
        self._opening.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.failed(connection, f"cannot connect: {type(error).__name__}")


async def generate(load: Load) -> None:
    """Warm up, say so, wait for the word, measure, report."""
    generator = Generator(load)
    await generator.open()
    reasons: dict[str, int] = {}
    if load.warm_requests or load.warm_seconds:
        warm = await generator.phase(requests=load.warm_requests, seconds=load.warm_seconds)
        reasons = dict(warm.reasons)
    say(Ready(sum(reasons.values()), reasons))
    # Blocking is fine: nothing is under way, and the answer comes at once.
    sys.stdin.readline()
    run = await generator.phase(requests=load.requests, seconds=load.seconds, rate=load.rate)
    say(Done(run.outcome()))
    generator.close()


def main() -> None:
    """Run the load generator as a process."""
    load = msgspec.json.decode(sys.stdin.readline(), type=Load)
    uvloop.run(generate(load))


if __name__ == "__main__":
    main()
