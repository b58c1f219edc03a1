"""A client of a running Junto that has everything a client can have: a key, limits of each kind and a budget, all out of reach."""

import http.client
import json
import secrets
from collections.abc import Callable

from bench import payload
from bench.subjects.subject import Door, Unavailable

_OUT_OF_REACH = 1_000_000_000

PRICES = json.dumps(
    [
        {"backend": backend, "model": "*", "from": "2026-01-01", "input": 2, "output": 10}
        for backend in ("mock", "mock-cloud", "mock-local")
    ]
)
"""The text of a pricing.yaml: nothing is held of a budget for what costs nothing."""

_CLIENT = {
    "name": "bench",
    "scopes": ["inference", "jobs"],
    "allow_cloud_for_internal": True,
    "rate_limit_per_minute": _OUT_OF_REACH,
    "tokens_per_minute": _OUT_OF_REACH,
    "max_concurrency": 100_000,
    "budget_usd": "1000000",
    "period": "daily",
    "allowed_models": [*payload.MODELS, *payload.JOB_MODELS],
}


def new_admin_key() -> str:
    """Return a key to start a Junto with."""
    return "jt_" + secrets.token_urlsafe(32)


def entering(admin_key: str) -> Callable[[Door], dict[str, str]]:
    """Return a function that makes the client and gives the headers of its requests."""

    def enter(door: Door) -> dict[str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=10)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {admin_key}"}
        try:
            connection.request("POST", "/clients", json.dumps(_CLIENT), headers)
            answer = connection.getresponse()
            made = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 201:
            raise Unavailable(f"no client could be made: {made}")
        return {"Authorization": f"Bearer {made['api_key']}"}

    return enter
