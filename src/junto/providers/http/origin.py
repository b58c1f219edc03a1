"""Where requests go, and the request head that is made once per configuration.

Owns the refusal of everything that could smuggle a second request, header or destination into the wire bytes. Must do
no I/O and no name look-up.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535
_HOST = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9._-]+)?")
_PATH = re.compile(r"(/[!$-;=@-\[\]-~]*)?")  # printable ASCII without space " # < > ? \
_TARGET = re.compile(r"/[!$-;=?@-\[\]-~]*")  # the same, and a query
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_FRAMING = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Origin:
    """One upstream: scheme, host (IPv6 without brackets), port, and a path prefix without trailing slash ("" or "/v1").

    Raises ValueError for anything that is not plainly one of these.
    """

    scheme: Literal["http", "https"]
    host: str
    port: int
    base_path: str = ""

    def __post_init__(self) -> None:
        if self.scheme not in _DEFAULT_PORTS:
            raise ValueError("the scheme of an upstream is http or https")
        if not _HOST.fullmatch(self.host):
            raise ValueError("the host of an upstream is a name or an address, in ASCII")
        if not 0 < self.port <= _MAX_PORT:
            raise ValueError("the port of an upstream is between 1 and 65535")
        if not _PATH.fullmatch(self.base_path) or self.base_path.endswith("/"):
            raise ValueError("the path of an upstream is printable ASCII, begins with / and does not end with it")

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `http://10.0.0.5:8000/v1`; raises ValueError for userinfo, query, fragment, blanks, control characters."""
        # urlsplit silently drops tabs and line ends, so they are refused before it sees them.
        if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
            raise ValueError("the address of an upstream is printable ASCII without blanks")
        if "?" in url or "#" in url:
            raise ValueError("the address of an upstream has no query and no fragment")
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https"):
            raise ValueError("the scheme of an upstream is http or https")
        if "@" in parts.netloc:
            raise ValueError("the address of an upstream holds no user or password")
        port = _DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
        scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
        return cls(scheme, parts.hostname or "", port, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """Host and port, always both, as a CONNECT request names them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def host_header(self) -> str:
        """The value of the Host header: the port is left out where the scheme implies it."""
        if self.port != _DEFAULT_PORTS[self.scheme]:
            return self.authority
        return f"[{self.host}]" if ":" in self.host else self.host


def prepare_head(origin: Origin, method: str, path: str, headers: Sequence[tuple[str, str]]) -> bytes:
    """Render request line, Host and headers, without content-length and the final empty line.

    Raises ValueError for a character that could end a line early, for a value outside Latin-1, and for the headers
    that frame a message or belong to one hop: those are the client's own.
    """
    if not _TOKEN.fullmatch(method) or method.upper() != method:
        raise ValueError("a method is a token in capital letters")
    if method == "CONNECT":
        raise ValueError("tunnels are the client's own business")
    if not _TARGET.fullmatch(path):
        raise ValueError("a request path begins with / and is printable ASCII without blanks")
    lines = [f"{method} {origin.base_path}{path} HTTP/1.1", f"Host: {origin.host_header}"]
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError("a header name is a token")
        if name.lower() in _FRAMING:
            raise ValueError(f"the header {name.lower()} belongs to the HTTP client")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of the header {name.lower()} has characters that a header cannot carry")
        lines.append(f"{name}: {value.strip()}")
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")
