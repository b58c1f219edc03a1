"""The one seam where foreign failures become UpstreamFailure: transport trouble, error statuses, Retry-After."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from junto.core.errors import FailureKind, UpstreamFailure
from junto.providers.http.errors import TransportFailure, TransportFailureKind

if TYPE_CHECKING:
    from junto.dialects.wire import Wire
    from junto.providers.http.client import Response

_ERROR_BODY_LIMIT = 64 * 1024
_LONGEST_RETRY_AFTER = 3600.0

_KINDS = {
    TransportFailureKind.CONNECT: FailureKind.CONNECT,
    TransportFailureKind.CONNECT_TIMEOUT: FailureKind.CONNECT_TIMEOUT,
    TransportFailureKind.TLS: FailureKind.CONNECT,
    TransportFailureKind.PROXY: FailureKind.CONNECT,
    TransportFailureKind.HEADERS_TIMEOUT: FailureKind.HEADERS_TIMEOUT,
    TransportFailureKind.FIRST_BYTE_TIMEOUT: FailureKind.FIRST_TOKEN_TIMEOUT,
    TransportFailureKind.IDLE_TIMEOUT: FailureKind.IDLE_TIMEOUT,
    TransportFailureKind.RESET: FailureKind.RESET,
    TransportFailureKind.PROTOCOL: FailureKind.PROTOCOL,
    TransportFailureKind.TOO_LARGE: FailureKind.TOO_LARGE,
}


def of_transport(failure: TransportFailure) -> UpstreamFailure:
    """The same trouble in routing's words."""
    return UpstreamFailure(_KINDS[failure.kind], failure.detail)


async def of_status(response: Response, wire: Wire, now: float) -> UpstreamFailure:
    """Read an error answer (bounded) and say what it means; `now` is seconds since the epoch, for dated Retry-After."""
    try:
        body = await response.read_all(_ERROR_BODY_LIMIT)
    except TransportFailure:
        body = b""  # the status alone says enough
    finally:
        response.close()
    failure = wire.parse_error(response.status, body)
    failure.status = response.status
    failure.retry_after = retry_after(response.header(b"retry-after"), now)
    return failure


def retry_after(value: bytes | None, now: float) -> float | None:
    """Seconds to wait, from either form of the header; None when it is absent or makes no sense."""
    if value is None:
        return None
    text = value.decode("latin-1").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, now)
    return min(seconds, _LONGEST_RETRY_AFTER) if seconds >= 0 else None  # NaN is not


def _until(date: str, now: float) -> float:
    try:
        return max(0.0, parsedate_to_datetime(date).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return -1.0
