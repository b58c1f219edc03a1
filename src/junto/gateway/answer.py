"""An answer on its way to the caller: pulled piece by piece, settled once, on every way out.

`begin` runs before the commit point: until it returns, a failure moves on to the next candidate. From then on a failure
is told inside the stream, in the caller's dialect, and what was already sent stays.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import structlog

from junto.core.errors import FailureKind, JuntoError, UpstreamFailed, UpstreamFailure
from junto.core.exchange import ExchangeRecord, Outcome
from junto.core.money import usd_from_nano
from junto.core.sensitivity import Sensitivity
from junto.core.usage import Usage
from junto.gateway.attempt import Attempt, Ending
from junto.gateway.payment import meter_for
from junto.gateway.runtime import lines_of
from junto.gateway.settlement import STORED_BODY_LIMIT, Settlement, measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.gateway.exchange import Exchange
    from junto.gateway.passage import Passage
    from junto.gateway.payment import Funds
    from junto.gateway.runtime import Header
    from junto.routing.route_table import Routed

_log = structlog.get_logger(__name__)

BROKEN_OFF = "The model's answer broke off."
_USUAL: Final = {
    tier: lines_of(((b"x-junto-attempts", b"1"), (b"x-junto-sensitivity", tier.label.encode()))) for tier in Sensitivity
}
_COST: Final = b"x-junto-cost-usd: %b\r\n"
_FREE: Final = _COST % usd_from_nano(0).encode()


class Answer:
    """Bytes for the caller. `read` until it gives b"", then `close`; `close` alone abandons the answer."""

    __slots__ = (
        "_attempt", "_exchange", "_first", "_keep", "_kept", "_kept_size", "_meter", "_pending", "_settled", "_settlement",
        "_truncated", "_usage", "is_fallback", "passage", "position", "record",
    )  # fmt: skip

    def __init__(
        self,
        exchange: Exchange,
        attempt: Attempt,
        passage: Passage,
        settlement: Settlement,
        keep: str,
    ) -> None:
        self._exchange = exchange
        self._attempt = attempt
        self._settlement = settlement
        self._keep = keep
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._truncated = False
        self._usage = Usage()  # known when the attempt has ended
        self._settled = False
        self._pending = b""
        self._first = 0.0
        self._meter = (
            None if exchange.hold is None else meter_for(exchange.hold, exchange.head, attempt.target.deployment)
        )
        self.passage = passage
        self.record: ExchangeRecord | None = None
        self.is_fallback = False
        self.position = 0  # in the plan, of the candidate that answered

    @property
    def streams(self) -> bool:
        """Whether more than one piece may come."""
        return self._exchange.head.stream

    @property
    def content_type(self) -> str:
        """The media type in the caller's wire."""
        wire = self._exchange.arrival.wire
        return wire.stream_type if self._exchange.head.stream else wire.whole_type

    @property
    def answered_by(self) -> tuple[str, str]:
        """The backend and the model."""
        facts = self._attempt.target.deployment
        return facts.backend, facts.model

    def headers(self) -> list[Header]:
        """What the answer says about how it came to be; the cost only where it is already known."""
        return [*self._attempt.target.headers, *self._own_headers()]

    def head_lines(self) -> bytes:
        """The same as lines of a response's head; most are the candidate's, the tier's, the limits' and the cost."""
        exchange, record, standing = self._exchange, self.record, self._attempt.target.head_lines
        if record is None or len(exchange.attempts) != 1 or self.is_fallback or exchange.routed is not None:
            return standing + lines_of(self._own_headers())
        limits = b"" if exchange.permit is None else exchange.permit.lines()
        price = _COST % usd_from_nano(record.cost_nano).encode() if record.cost_nano else _FREE
        return b"".join((standing, _USUAL[exchange.sensitivity], limits, price))

    def _own_headers(self) -> list[Header]:
        exchange = self._exchange
        made = len(exchange.attempts) + (not self._settled)  # an attempt is noted when it ends
        headers = [
            (b"x-junto-attempts", b"%d" % made),
            (b"x-junto-sensitivity", exchange.sensitivity.label.encode()),
        ]
        if exchange.permit is not None:
            headers += exchange.permit.headers
        if exchange.routed is not None:
            headers += _route_headers(exchange.routed)
        if self.is_fallback:
            headers.append((b"x-fallback-model", self._attempt.target.headers[0][1]))
        if self.record is not None:
            headers.append((b"x-junto-cost-usd", usd_from_nano(self.record.cost_nano).encode()))
        return headers

    def draw_on(self, funds: Funds) -> None:
        """Have what comes after the beginning paid out of these funds, where it is bounded by nothing else."""
        self._meter = meter_for(funds, self._exchange.head, self._attempt.target.deployment)

    async def begin(self) -> None:
        """Wait for the first bytes; raises UpstreamFailure while nothing is committed."""
        passage = self.passage
        self._pending = await passage.advance()
        if not self._pending and not passage.finished:
            await self._pass_over()
        self._attempt.first_byte()
        self._first = self._settlement.now()
        self._remember(self._pending)
        if passage.finished:
            self._settle()

    async def _pass_over(self) -> None:
        """Go on while what comes has nothing for the caller; an upstream that sends only comments is given up in time."""
        passage = self.passage
        until = self._settlement.now() + self._attempt.first_token
        while not self._pending and not passage.finished:
            if self._settlement.now() > until:
                raise UpstreamFailure(FailureKind.FIRST_TOKEN_TIMEOUT, "nothing but comments")
            self._pending = await passage.advance()

    async def read(self) -> bytes:
        """The next bytes for the caller, b"" at the end. Never raises an UpstreamFailure: it becomes the stream's end."""
        if self._pending:
            piece, self._pending = self._pending, b""
        elif self._settled:
            return b""
        else:
            try:
                piece = await self._next()
                is_paid = self._meter is None or await self._meter.covers(piece, self.passage)
            except UpstreamFailure as failure:
                return self._break_off(failure)
            except Exception:  # noqa: BLE001  the last line of defence: logged, and told in the caller's dialect
                return self._broken()
            if not is_paid:
                return self._cut()
            self._remember(piece)
        if self.passage.finished and not self._settled:
            try:
                self._settle()
            except JuntoError as error:  # it could not be written down, so its end is not acknowledged
                return self.passage.error(error)
        return piece

    async def pump(self, write: Callable[[bytes], bool]) -> None:
        """Let plain pieces go straight from the upstream to `write` while it takes them; `read` goes on from there."""
        if self._settled or self._pending or self._meter is not None:
            return

        def give(piece: bytes) -> bool:
            if not write(piece):
                return False
            self._remember(piece)
            return True

        self._pending = await self.passage.pump(give)
        self._remember(self._pending)

    async def _next(self) -> bytes:
        passage = self.passage
        piece = b""
        while not piece and not passage.finished:
            piece = await passage.advance()
        return piece

    def close(self) -> None:
        """Let go of the upstream; an answer that was not read to its end is settled as abandoned by the caller."""
        self.passage.close()
        if not self._settled:
            self._end_attempt(Ending.CANCELLED)
            with contextlib.suppress(JuntoError):  # it cannot be written down, and nobody is left to be told
                self._record(outcome=Outcome.CANCELLED)

    def _settle(self) -> None:
        self._end_attempt(Ending.ANSWERED)
        self._record(outcome=Outcome.OK)

    def _cut(self) -> bytes:
        """End a stream that no budget has room for any more, as if its maximum were reached."""
        self.passage.close()
        end = self.passage.cut()
        try:
            self._settle()
        except JuntoError as error:
            return self.passage.error(error)
        return end

    def _break_off(self, failure: UpstreamFailure) -> bytes:
        self.passage.close()
        self._end_attempt(Ending.FAILED, failure)
        error: JuntoError = failure.refusal or UpstreamFailed(BROKEN_OFF, reasons=[failure.kind.value])
        try:
            self._record(outcome=Outcome.ERROR, error=error)
        except JuntoError as unrecorded:
            error = unrecorded
        return self.passage.error(error)

    def _broken(self) -> bytes:
        """End a stream after a defect of Junto's own, which says nothing about the upstream."""
        _log.exception("answer_failed", request_id=self._exchange.id)
        self.passage.close()
        self._end_attempt(Ending.CANCELLED)
        error = JuntoError("Something went wrong inside Junto.")
        with contextlib.suppress(JuntoError):
            self._record(outcome=Outcome.ERROR, error=error)
        return self.passage.error(error)

    def _record(self, *, outcome: Outcome, error: JuntoError | None = None) -> None:
        self._settled = True
        self.record = self._settlement.answered(
            self._exchange,
            self._attempt,
            self.passage,
            self._usage,
            keep=self._keep,
            first=self._first,
            stored=self._kept,
            truncated=self._truncated,
            outcome=outcome,
            error=error,
        )
        self._kept = []

    def _end_attempt(self, ending: Ending, failure: UpstreamFailure | None = None) -> None:
        self._usage = usage = measured(self._exchange, self.passage, self._attempt.target.deployment)
        self._attempt.end(ending, failure=failure, output_tokens=usage.output)

    def _remember(self, piece: bytes) -> None:
        if self._keep != "full" or not piece:
            return
        self._kept_size += len(piece)
        if self._kept_size <= STORED_BODY_LIMIT:
            self._kept.append(piece)
        else:
            self._truncated = True


def _route_headers(routed: Routed) -> list[Header]:
    """Which route was applied; and that the task type has none of its own, where that is so."""
    headers = [(b"x-junto-route", routed.label.encode())]
    if routed.is_default:
        headers.append((b"x-junto-default-route", b"true"))
    if routed.is_canary:
        headers.append((b"x-junto-canary", b"true"))
    return headers
