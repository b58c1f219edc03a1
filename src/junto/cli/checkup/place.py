"""Looks at the address that Junto listens on, and at who is there already."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2

from junto.cli.checkup.finding import note, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.cli.checkup.finding import Finding

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  asked, not bound
_LAST_RESERVED_PORT = 1023


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Who answers at the address: `is_junto`, and what its /health said."""

    is_junto: bool
    health: dict[str, Any]


def look(host: str, port: int, *, transport: httpx2.BaseTransport | None = None) -> Neighbour | None:
    """Who answers there; None when nobody does."""
    name = _EVERYWHERE.get(host, host)
    url = f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"
    try:
        with httpx2.Client(timeout=3, transport=transport, trust_env=False) as client:
            about = _object(client.get(url, headers={"accept": "application/json"}))
            if about.get("name") != "junto":
                return Neighbour(is_junto=False, health={})
            return Neighbour(is_junto=True, health=_object(client.get(f"{url}/health")))
    except (httpx2.ConnectError, httpx2.ConnectTimeout):
        return None
    except httpx2.HTTPError:
        return Neighbour(is_junto=False, health={})


def bind_error(host: str, port: int) -> OSError | None:
    """What the system says to listening there; None: it can be done."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error
    return None


def check_address(
    host: str,
    port: int,
    neighbour: Neighbour | None,
    *,
    bind: Callable[[str, int], OSError | None] = bind_error,
) -> Finding:
    """The port is free, or Junto itself is there."""
    where = f"{host}:{port}"
    if neighbour is not None and neighbour.is_junto:
        version = neighbour.health.get("version", "?")
        return ok("address", f"Junto {version} is running at {where}.")
    if neighbour is not None:
        return wrong(
            "address", f"Another program answers at {where}.", "Stop it, or choose another port: server.port or --port."
        )
    error = bind(host, port)
    if error is None:
        return ok("address", f"{where} is free.")
    if error.errno == errno.EACCES and port <= _LAST_RESERVED_PORT:
        return wrong("address", f"{where} may be taken by the administrator only.", "Choose a port above 1023.")
    if error.errno == errno.EADDRINUSE:
        return wrong(
            "address", f"{where} is taken by a program that does not answer.", "Stop it, or choose another port."
        )
    message = f"Nobody can listen at {where}: {error.strerror or error}."
    return wrong(
        "address", message, "Set server.host to an address of this machine; 127.0.0.1 is for this machine alone."
    )


def check_health(neighbour: Neighbour | None) -> list[Finding]:
    """What a running Junto says of itself; nothing when none runs."""
    if neighbour is None or not neighbour.is_junto:
        return []
    health = neighbour.health
    down = [backend["name"] for backend in health.get("backends", ()) if backend.get("status") != "up"]
    findings = []
    if health.get("status") != "ok":
        findings.append(
            note("running junto", "It says that it is degraded.", "See its log, and `junto doctor`'s other findings.")
        )
    if down:
        findings.append(note("running junto", f"These backends are down for it: {', '.join(down)}."))
    return findings or [ok("running junto", "It says that all is well.")]


def _object(response: httpx2.Response) -> dict[str, Any]:
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
