"""The one exception of the upstream client; every foreign error is mapped to it here or in `connect.py`.

Details are Junto's own words plus host, port and status: never a header, a body or a key.
"""

from enum import StrEnum


class TransportFailureKind(StrEnum):
    """What went wrong between Junto and an upstream."""

    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    PROXY = "proxy"
    HEADERS_TIMEOUT = "headers_timeout"
    FIRST_BYTE_TIMEOUT = "first_byte_timeout"
    IDLE_TIMEOUT = "idle_timeout"
    RESET = "reset"
    PROTOCOL = "protocol"
    TOO_LARGE = "too_large"


class TransportFailure(Exception):
    """An exchange with an upstream did not complete; `sent` says whether a request byte may have reached it."""

    __slots__ = ("detail", "kind", "sent")

    def __init__(self, kind: TransportFailureKind, detail: str, *, sent: bool) -> None:
        super().__init__(kind, detail, sent)
        self.kind = kind
        self.detail = detail
        self.sent = sent

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"
