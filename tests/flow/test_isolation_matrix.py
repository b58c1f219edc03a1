"""Closed by default: every route against every caller, with the key in every place. What each may do is in doors.py."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from junto.identity.principal import ApiScope
from tests.flow.doors import DOORS, Door, Holder, Route, Who, filled, routes_of
from tests.flow.running import ADMIN_KEY, RunningJunto
from tests.upstreams import OpenAIEmulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UNKNOWN_KEY = "jt_" + "u" * 43
CLOSED = sorted(route for route, door in DOORS.items() if door.who not in {Who.ANYONE, Who.NOBODY, Who.VISITOR})
OPEN = sorted(route for route, door in DOORS.items() if door.who is Who.ANYONE)
NOBODYS = sorted(route for route, door in DOORS.items() if door.who is Who.NOBODY)
VISITORS = sorted(route for route, door in DOORS.items() if door.who is Who.VISITOR)
OWNED = sorted(route for route, door in DOORS.items() if door.thing is not None)

RIGHT_PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "authorization": lambda key: {"headers": {"authorization": f"Bearer {key}"}},
    "x-api-key": lambda key: {"headers": {"x-api-key": key}},
}
WRONG_PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "another scheme": lambda key: {"headers": {"authorization": f"Basic {key}"}},
    "bare": lambda key: {"headers": {"authorization": key}},
    "in the query": lambda key: {"params": {"key": key, "api_key": key, "authorization": f"Bearer {key}"}},
    "in a cookie": lambda key: {"headers": {"cookie": f"authorization=Bearer {key}; x-api-key={key}"}},
    "in the body": lambda key: {
        "json": {"api_key": key, "model": "gpt-test", "messages": [{"role": "user", "content": "x"}]}
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A Junto that needs keys, and clients of every kind."""

    junto: RunningJunto
    own: Holder
    neighbour: Holder  # another client of the same tenant
    other: Holder  # of another tenant
    without: dict[ApiScope, Holder]  # a client that has every scope but this one
    revoked: str
    disabled: str

    def ask(self, route: Route, given: dict[str, Any], parameters: dict[str, str] | None = None) -> httpx2.Response:
        """The answer at a route."""
        method, path = route
        door = DOORS[route]
        at = filled(path, {**door.parameters, **(parameters or {})})
        body = {} if door.body is None else {"json": door.body}
        return self.junto.http.request(method, at, **{**body, **given})


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with OpenAIEmulator() as upstream:
        backends = [{"name": "up", "provider": "openai", "url": upstream.base_url}]
        config = {"auth": {"mode": "keys"}, "backends": backends}
        with RunningJunto(tmp_path_factory.mktemp("data"), config) as junto:
            yield furnished(junto)


def furnished(junto: RunningJunto) -> Ground:
    """The clients, made as an administrator makes them."""

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = junto.http.post(path, json=body, headers=junto.admin).raise_for_status().json()
        return answer

    def holder(name: str, tenant: str = "default", without: ApiScope | None = None) -> Holder:
        scopes = [scope.value for scope in ApiScope if scope not in {without, ApiScope.SERVICE}]
        made = post("/clients", {"name": name, "tenant": tenant, "scopes": scopes})
        return Holder(client_id=made["id"], tenant=made["tenant"], key=made["api_key"])

    post("/tenants", {"name": "acme"})
    rotated, disabled = holder("rotated"), holder("disabled")
    post(f"/clients/{rotated.client_id}/rotate-key", {"overlap_s": 0})
    junto.http.patch(f"/clients/{disabled.client_id}", json={"enabled": False}, headers=junto.admin).raise_for_status()
    return Ground(
        junto=junto,
        own=holder("own"),
        neighbour=holder("neighbour"),
        other=holder("other", "acme"),
        without={scope: holder(f"without-{scope.value}", without=scope) for scope in ApiScope},
        revoked=rotated.key,
        disabled=disabled.key,
    )


def expected(door: Door, caller: str) -> set[int]:
    """The statuses with which a caller is refused at a door; nothing for one who may enter."""
    if door.who is Who.ADMIN:
        return set() if caller == "admin" else {403}
    return {"revoked": {401}, "unknown": {401}, "disabled": {403}, "wrong scope": {403}}.get(caller, set())


def test_every_route_has_a_row(ground: Ground) -> None:
    """A new route must be put into the table, and so be closed unless it is said to be open."""
    assert routes_of(ground.junto) == set(DOORS)


@pytest.mark.parametrize("place", RIGHT_PLACES)
@pytest.mark.parametrize("route", CLOSED, ids=" ".join)
def test_each_caller_gets_in_where_it_may_and_nowhere_else(ground: Ground, route: Route, place: str) -> None:
    door = DOORS[route]
    callers = {
        "admin": ADMIN_KEY,
        "own": ground.own.key,
        "other tenant": ground.other.key,
        "wrong scope": ground.without[door.scope].key,
        "revoked": ground.revoked,
        "disabled": ground.disabled,
        "unknown": UNKNOWN_KEY,
    }
    for caller, key in callers.items():
        response = ground.ask(route, RIGHT_PLACES[place](key))
        refused = expected(door, caller)
        if refused:
            assert response.status_code in refused, caller
            assert route[0] == "HEAD" or "error" in response.json()
            assert key not in response.text
        else:
            assert response.status_code not in {401, 403}, caller


@pytest.mark.parametrize("place", WRONG_PLACES)
@pytest.mark.parametrize("route", CLOSED, ids=" ".join)
def test_a_key_in_any_other_place_is_none(ground: Ground, route: Route, place: str) -> None:
    for key in (ADMIN_KEY, ground.own.key):
        response = ground.ask(route, WRONG_PLACES[place](key))
        assert response.status_code == 401
        assert route[0] == "HEAD" or "error" in response.json()
        assert key not in response.text


@pytest.mark.parametrize("route", CLOSED, ids=" ".join)
def test_without_a_key_nothing_opens(ground: Ground, route: Route) -> None:
    assert ground.ask(route, {}).status_code == 401


@pytest.mark.parametrize("route", OPEN, ids=" ".join)
def test_what_is_open_answers_anyone_and_says_nothing_secret(ground: Ground, route: Route) -> None:
    for given in ({}, {"headers": {"authorization": f"Bearer {ground.revoked}"}}):
        response = ground.ask(route, given)
        assert response.status_code in {200, 503}
        assert ADMIN_KEY not in response.text
        assert ground.own.key not in response.text


@pytest.mark.parametrize("route", VISITORS, ids=" ".join)
def test_no_key_is_a_visitors_session(ground: Ground, route: Route) -> None:
    for given in ({}, {"headers": ground.junto.admin}, RIGHT_PLACES["x-api-key"](ground.own.key)):
        assert ground.ask(route, given).status_code == 401


@pytest.mark.parametrize("route", NOBODYS, ids=" ".join)
def test_what_is_nobodys_is_refused_to_everyone(ground: Ground, route: Route) -> None:
    for given in ({}, {"headers": ground.junto.admin}, RIGHT_PLACES["x-api-key"](ground.own.key)):
        assert ground.ask(route, given).status_code == 403


@pytest.mark.parametrize(
    "route", OWNED or [pytest.param(("", ""), marks=pytest.mark.skip("nothing is owned yet"))], ids=" ".join
)
def test_what_is_anothers_is_missing_byte_for_byte(ground: Ground, route: Route) -> None:
    """To clients of another tenant and to neighbours alike; its owner and the administrator find it."""
    door = DOORS[route]
    assert door.thing is not None

    def ask(key: str, parameters: dict[str, str]) -> httpx2.Response:
        return ground.ask(route, RIGHT_PLACES["authorization"](key), parameters)

    for stranger in (ground.other, ground.neighbour):
        thing = dict(door.thing(ground.junto, ground.own))
        missing = {name: value[:-1] + ("0" if value[-1] != "0" else "1") for name, value in thing.items()}
        foreign, absent = ask(stranger.key, thing), ask(stranger.key, missing)
        assert foreign.status_code == absent.status_code == 404
        assert anonymous(foreign, thing) == anonymous(absent, missing)
    for finder in (ground.own.key, ADMIN_KEY):
        assert ask(finder, dict(door.thing(ground.junto, ground.own))).status_code not in {401, 403, 404}


def anonymous(response: httpx2.Response, parameters: dict[str, str]) -> tuple[str, list[str]]:
    """What an answer says, without what it was asked for by, and which headers it has."""
    text = response.text
    for value in parameters.values():
        text = text.replace(value, "?")
    return text, sorted(name.lower() for name in response.headers)


@pytest.mark.parametrize("route", CLOSED, ids=" ".join)
def test_open_inference_does_not_open_the_administration(opened: RunningJunto, route: Route) -> None:
    method, path = route
    without, wrong = (
        opened.http.request(method, filled(path, {}), headers=headers).status_code
        for headers in ({}, {"x-api-key": UNKNOWN_KEY})
    )
    if DOORS[route].who is Who.ADMIN:
        assert (without, wrong) == (401, 403)
    else:
        assert without not in {401, 403}
        assert wrong == 401  # it is one of Junto's own, and no longer or not yet a key


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningJunto]:
    with RunningJunto(tmp_path_factory.mktemp("data"), {}) as junto:
        yield junto
