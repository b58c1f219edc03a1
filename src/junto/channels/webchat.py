"""The web chat as a channel: `WS /chat/{agent}`, from the wish to open a socket to its last frame.

Owns who may open one and the bounds of what goes over it. What is said is the handler's business, what is shown of a
conversation is that of webchat_threads.py. Before the socket is open a refusal is a status without a word why; afterwards it is
a close code.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

import structlog

from junto.channels.asgi import header
from junto.channels.webchat_frames import Resume, parse_frame, ping, ready, refused, rendered
from junto.channels.webchat_threads import Place
from junto.core.errors import (
    Forbidden,
    JuntoError,
    MalformedBody,
    NotFound,
    Overloaded,
    RateLimited,
    Unauthenticated,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.agents.visitors import Visit, Visitors
    from junto.channels.asgi import Receive, Scope, Send
    from junto.channels.webchat_frames import Said
    from junto.channels.webchat_threads import LiveThread, LiveThreads
    from junto.ports.agents import Agent
    from junto.ports.clock import Clock
    from junto.ports.observer import RefusalObserver

PATH: Final = "/chat/"
COOKIE: Final = "junto_chat"
MOST_SOCKETS: Final = 1_000
MOST_OF_ONE: Final = 6  # sockets of one visitor
FRAMES_A_MINUTE: Final = 120
PING_SECONDS: Final = 20.0
BEGIN_SECONDS: Final = 10.0  # until the first frame
SEND_SECONDS: Final = 20.0  # that a reader may take for a frame
_MOST_ASIDES = 32
_MOST_COOKIES = 4
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Closed(Exception):
    """Ends a socket with a close code."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason


NOT_TEXT, POLICY, BROKEN, AGAIN_LATER = 1003, 1008, 1011, 1013
SESSION_OVER, NOT_THERE = 4401, 4404


class WebChat:
    """The ASGI application for sockets. `ping` is how long a socket may be silent."""

    def __init__(
        self,
        visitors: Visitors,
        threads: LiveThreads,
        *,
        make_id: Callable[[], str],
        clock: Clock,
        refusals: RefusalObserver,
        ping: float = PING_SECONDS,
    ) -> None:
        self._visitors = visitors
        self._threads = threads
        self._make_id = make_id
        self._clock = clock
        self._refusals = refusals
        self._ping = ping
        self._log = structlog.get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            visit, thread = self._admitted(scope)
        except JuntoError as error:
            self._refusals.request_refused(status=error.status, code=error.code)
            await _refuse(send, error.status, self._make_id())
            return
        self._threads.enter(thread)
        try:
            await send({"type": "websocket.accept"})
            await self._serve(Socket(visit, thread, self._visitors, self._clock, ping=self._ping), receive, send)
        finally:
            self._threads.leave(thread)

    def _admitted(self, scope: Scope) -> tuple[Visit, LiveThread]:
        name = str(scope["path"]).removeprefix(PATH)
        check_origin(scope)
        visit = visit_of(scope, name, self._visitors)
        if visit is None:
            raise Unauthenticated("A session or a link is needed.")
        if self._visitors.host(visit) is None:
            raise NotFound("There is no such agent.")
        if self._threads.sockets >= MOST_SOCKETS:
            raise Overloaded("Too many sockets are open.")
        thread = self._threads.get(Place(visit.tenant_id, visit.agent, visit.thread))
        if thread.sockets >= MOST_OF_ONE:
            raise RateLimited("Too many sockets of this visitor are open.")
        return visit, thread

    async def _serve(self, socket: Socket, receive: Receive, send: Send) -> None:
        """Read and write until one of the two ends, and close."""
        tasks = [asyncio.create_task(socket.read(receive)), asyncio.create_task(socket.write(send))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        closed = next((end for end in ends if isinstance(end, Closed)), None)
        if closed is None:
            for end in ends:
                if isinstance(end, Exception) and not isinstance(end, OSError):
                    self._log.error("webchat_failed", agent=socket.visit.agent, exc_info=end)
                    closed = Closed(BROKEN)
        if closed is not None:
            await _close(send, closed)


class Socket:
    """One open page of a visitor."""

    def __init__(self, visit: Visit, thread: LiveThread, visitors: Visitors, clock: Clock, *, ping: float) -> None:
        self.visit = visit
        self._thread = thread
        self._visitors = visitors
        self._clock = clock
        self._ping = ping
        self._wake = asyncio.Event()
        self._begin: asyncio.Future[Resume] = asyncio.get_running_loop().create_future()
        self._cursor = 0
        self._asides: deque[str] = deque(maxlen=_MOST_ASIDES)  # what only this page is told
        self._allowance = float(FRAMES_A_MINUTE)
        self._counted_at = clock.monotonic()

    async def read(self, receive: Receive) -> None:
        """Take frames until the page goes; raises Closed for what no page of ours sends."""
        while True:
            message = await receive()
            if message["type"] != "websocket.receive":
                return
            text = message.get("text")
            if text is None:
                raise Closed(NOT_TEXT)
            self._count()
            try:
                frame = parse_frame(text)
            except MalformedBody:
                raise Closed(POLICY, "not understood") from None
            if isinstance(frame, Resume):
                self._begun(frame)
            else:
                self._begun(Resume())
                await self._say(frame)

    async def write(self, send: Send) -> None:
        """Tell the page what happens, as fast as it reads; raises Closed when it does not, or may not be here any more."""
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                resume = await self._begin
        except TimeoutError:
            raise Closed(POLICY, "nothing was sent") from None
        self._thread.log.watch(self._wake)
        try:
            await self._greet(send, resume)
            while True:
                await self._tell(send)
                self._check()
                try:
                    async with asyncio.timeout(self._ping):
                        await self._wake.wait()
                except TimeoutError:
                    await _send(send, ping(self._cursor))
        finally:
            self._thread.log.unwatch(self._wake)

    async def _tell(self, send: Send) -> None:
        self._wake.clear()
        events = self._thread.log.since(self._cursor)
        if events is None:
            await self._greet(send, Resume())
            return
        for event in events:
            await _send(send, rendered(event))
            self._cursor = event.number
        while self._asides:
            await _send(send, self._asides.popleft())

    async def _greet(self, send: Send, resume: Resume) -> None:
        log = self._thread.log
        agent = self._check()
        told = {"name": agent.name, "title": agent.title}
        if resume.log == log.id and log.since(resume.last_event) is not None:
            self._cursor = resume.last_event
            await _send(send, ready(self._cursor, log.id, told, None))
            return
        try:
            self._cursor, messages = await self._thread.shown()
        except JuntoError:
            raise Closed(AGAIN_LATER) from None
        await _send(send, ready(self._cursor, log.id, told, messages))

    async def _say(self, said: Said) -> None:
        self._check()
        saying = asyncio.create_task(self._thread.say(said.id, said.text, self.visit.sender))
        try:
            await asyncio.shield(saying)  # a page that goes meanwhile has said it all the same
        except asyncio.CancelledError:
            saying.add_done_callback(lambda task: task.cancelled() or task.exception())
            raise
        except JuntoError as error:
            self._asides.append(refused(self._cursor, said.id, error))
            self._wake.set()

    def _begun(self, resume: Resume) -> None:
        if not self._begin.done():
            self._begin.set_result(resume)

    def _check(self) -> Agent:
        """The agent; raises Closed when the visitor may not talk to it any more."""
        if self._visitors.is_over(self.visit):
            raise Closed(SESSION_OVER)
        agent = self._visitors.host(self.visit)
        if agent is None:
            raise Closed(NOT_THERE)
        return agent

    def _count(self) -> None:
        now = self._clock.monotonic()
        gained = (now - self._counted_at) * FRAMES_A_MINUTE / 60
        self._allowance, self._counted_at = min(float(FRAMES_A_MINUTE), self._allowance + gained) - 1, now
        if self._allowance < 0:
            raise Closed(POLICY, "too many frames")


def visit_of(scope: Scope, name: str, visitors: Visitors) -> Visit | None:
    """Whom a request comes from: by its session, else by the link in its query."""
    for value in _cookies(scope):
        visit = visitors.by_session(name, value)
        if visit is not None:
            return visit
    tokens = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=8).get("t", ())
    return visitors.by_link(name, tokens[0]) if len(tokens) == 1 else None


def check_origin(scope: Scope) -> None:
    """Raise Forbidden for what a page of another origin asks. Programs, which send no cookie either, name no origin."""
    origin, host = header(scope, b"origin"), header(scope, b"host")
    if any(known == b"origin" for known, _ in scope["headers"]):
        if origin is None or host is None or not _is_same(origin.decode("latin-1"), host.decode("latin-1")):
            raise Forbidden("Only pages of this address may open a chat.")
    elif any(known == b"cookie" for known, _ in scope["headers"]):
        raise Forbidden("Only pages of this address may open a chat.")


def _is_same(origin: str, host: str) -> bool:
    try:
        page, here = urlsplit(origin), urlsplit(f"//{host}")
        default = _DEFAULT_PORTS.get(page.scheme)
        same_port = (page.port or default) == (here.port or default)
    except ValueError:
        return False
    return default is not None and bool(page.hostname) and page.hostname == here.hostname and same_port


def _cookies(scope: Scope) -> list[str]:
    """What may be a session. Cookies of others on this host come along, and need not be by the book."""
    sent = b";".join(value for name, value in scope["headers"] if name == b"cookie").decode("latin-1")
    named = (one.partition("=") for one in sent.split(";"))
    return [value.strip() for name, _, value in named if name.strip() == COOKIE][:_MOST_COOKIES]


async def _send(send: Send, text: str) -> None:
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await send({"type": "websocket.send", "text": text})
    except TimeoutError:
        raise Closed(AGAIN_LATER, "too slow") from None


async def _close(send: Send, closed: Closed) -> None:
    try:
        async with asyncio.timeout(1.0):
            await send({"type": "websocket.close", "code": closed.code, "reason": closed.reason})
    except (OSError, TimeoutError, RuntimeError):
        return  # it is closed, or does not read: the server cuts it off


async def _refuse(send: Send, status: int, request_id: str) -> None:
    headers = [(b"content-length", b"0"), (b"cache-control", b"no-store"), (b"x-junto-request-id", request_id.encode())]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})
