"""How a connection comes to be: TCP, a tunnel through a proxy, TLS; and the mapping of what can go wrong on the way.

Must not hold a connection after handing it over. Whatever interrupts it, the socket is aborted at once.
"""

import asyncio
import ssl
from typing import cast

from junto.providers.http.connection import Connection
from junto.providers.http.errors import TransportFailure, TransportFailureKind
from junto.providers.http.origin import Origin
from junto.providers.http.phase import Phase
from junto.providers.http.tunnel import Tunnel


class Connector:
    """Opens connections to one origin, directly or through a proxy."""

    __slots__ = ("_origin", "_proxy", "_ssl_context")

    def __init__(self, origin: Origin, proxy: Origin | None, ssl_context: ssl.SSLContext | None) -> None:
        self._origin = origin
        self._proxy = proxy
        self._ssl_context = ssl_context

    async def connect(self, connection: Connection) -> None:
        """Give `connection` an open transport to the origin; raises TransportFailure with nothing sent."""
        if self._proxy is None:
            transport = await self._open_socket(connection, self._origin, TransportFailureKind.CONNECT)
        else:
            transport = await self._open_tunnel(connection, self._proxy)
        if self._origin.scheme == "https":
            transport = await self._start_tls(transport, connection, self._origin)
        connection.connection_made(transport)
        if connection.phase is Phase.CLOSED:
            raise TransportFailure(
                TransportFailureKind.CONNECT, "the upstream closed the connection before a request", sent=False
            )

    async def _open_tunnel(self, connection: Connection, proxy: Origin) -> asyncio.Transport:
        tunnel = Tunnel(asyncio.get_running_loop())
        transport = await self._open_socket(tunnel, proxy, TransportFailureKind.PROXY)
        if proxy.scheme == "https":
            transport = await self._start_tls(transport, tunnel, proxy)
        try:
            await tunnel.open(transport, self._origin)
        except BaseException:
            transport.abort()
            raise
        connection.connection_made(transport)
        transport.set_protocol(connection)
        if transport.is_closing():
            raise TransportFailure(TransportFailureKind.PROXY, "the proxy closed the tunnel", sent=False)
        transport.resume_reading()
        return transport

    async def _open_socket(
        self, protocol: asyncio.Protocol, target: Origin, kind: TransportFailureKind
    ) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_connection(lambda: protocol, target.host, target.port)
        except TimeoutError as error:  # an OSError of the kernel here, not the deadline's
            raise TransportFailure(TransportFailureKind.CONNECT_TIMEOUT, "no answer to TCP", sent=False) from error
        except (OSError, UnicodeError) as error:
            raise TransportFailure(kind, f"no connection to {target.authority}", sent=False) from error
        return transport

    async def _start_tls(
        self, transport: asyncio.Transport, protocol: asyncio.Protocol, target: Origin
    ) -> asyncio.Transport:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(transport, protocol, self._context(), server_hostname=target.host)
        except (OSError, ssl.CertificateError) as error:
            transport.abort()
            detail = f"no TLS with {target.authority}: {_reason(error)}"
            raise TransportFailure(TransportFailureKind.TLS, detail, sent=False) from error
        except BaseException:
            transport.abort()
            raise
        return cast("asyncio.Transport", secured)

    def _context(self) -> ssl.SSLContext:
        # Reading the trust store takes milliseconds, so it is done once, when the first TLS connection is opened.
        if self._ssl_context is None:
            self._ssl_context = ssl.create_default_context()
            self._ssl_context.set_alpn_protocols(["http/1.1"])
        return self._ssl_context


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is refused ({error.verify_message})"
    return "the handshake failed"
