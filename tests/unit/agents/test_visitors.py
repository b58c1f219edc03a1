"""Links and sessions of the web chat's visitors: whom they stand for, until when, and whoever they do not let in."""

from __future__ import annotations

import base64
from itertools import count

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from junto.agents.shelf import AgentShelf
from junto.agents.visitors import LONGEST_SECONDS, Kind, Signatures, Visit, Visitors
from junto.core.errors import Conflict, InvalidField
from junto.core.secret import Secret
from junto.ports.agents import Agent, Channels, WebChannel

WEB = Channels(web=WebChannel(enabled=True, visitors=True))
ADA = Agent(id="agt_1", tenant_id="default", name="ada", channels=WEB)
VISIT = Visit("default", "agt_1", "ada", "", "v1", 1_000, "Grace")
SIGNATURES = Signatures(Secret("a secret of the server"))


class Clock:
    """Stands still until it is told otherwise."""

    now_s = 100

    def monotonic(self) -> float:
        return float(self.now_s)

    def wall_ms(self) -> int:
        return self.now_s * 1000


class Store:
    """The agents that are in force."""

    def __init__(self, *agents: Agent) -> None:
        self.agents = list(agents)

    async def in_force(self) -> list[Agent]:
        return [agent for agent in self.agents if agent.enabled]


class House:
    """Visitors over a shelf, with everything that they depend on to be changed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shelf = AgentShelf()
        self.good = {"cli_1"}
        self.open = True
        numbers = count()
        self.visitors = Visitors(
            SIGNATURES,
            self.shelf,
            may_pay=lambda client, tenant: client in self.good and tenant == "default",
            needs_no_key=lambda: self.open,
            make_visitor=lambda: f"v{next(numbers)}",
            clock=self.clock,
        )

    async def has(self, *agents: Agent) -> None:
        await self.shelf.load(Store(*agents))  # type: ignore[arg-type]  # the one method that the shelf asks for

    def invited(self, agent: Agent = ADA, *, client: str = "", ttl_s: int = 60) -> tuple[Visit, str]:
        return self.visitors.invite(agent, client_id=client, ttl_s=ttl_s, label="Grace")


@pytest.fixture
async def house(anyio_backend: object) -> House:
    house = House()
    await house.has(ADA)
    return house


pytestmark = pytest.mark.anyio


async def test_a_link_becomes_a_session_of_the_same_visitor(house: House) -> None:
    visit, token = house.invited()
    found = house.visitors.by_link("ada", token)
    assert found == visit
    assert found is not None
    assert house.visitors.by_session("ada", house.visitors.session(found)) == visit
    assert (visit.sender, visit.thread) == ("Grace", "-/v0")


async def test_a_link_is_no_session_and_a_session_no_link(house: House) -> None:
    visit, token = house.invited()
    assert house.visitors.by_session("ada", token) is None
    assert house.visitors.by_link("ada", house.visitors.session(visit)) is None


async def test_it_is_for_one_agent_until_its_time_is_over(house: House) -> None:
    visit, token = house.invited(ttl_s=60)
    assert house.visitors.by_link("bob", token) is None
    house.clock.now_s = 159
    assert house.visitors.by_link("ada", token) is not None
    house.clock.now_s = 160
    assert house.visitors.by_link("ada", token) is None
    assert house.visitors.is_over(visit)


@pytest.mark.parametrize(
    "agent",
    [
        None,
        msgspec.structs.replace(ADA, enabled=False),
        msgspec.structs.replace(ADA, id="agt_2"),  # deleted, and another one made under its name
        msgspec.structs.replace(ADA, channels=Channels(web=WebChannel(enabled=True))),
        msgspec.structs.replace(ADA, channels=Channels()),
        msgspec.structs.replace(ADA, tenant_id="acme"),
    ],
)
async def test_what_it_stands_on_is_asked_each_time(house: House, agent: Agent | None) -> None:
    visit, _ = house.invited()
    assert house.visitors.host(visit) == ADA
    await house.has(*([] if agent is None else [agent]))
    assert house.visitors.host(visit) is None


async def test_a_client_that_is_not_good_any_more_takes_its_links_along(house: House) -> None:
    visit, _ = house.invited(client="cli_1")
    assert visit.thread == "cli_1/v0"
    assert house.visitors.host(visit) == ADA
    house.good.clear()
    assert house.visitors.host(visit) is None


async def test_who_passes_by_is_let_in_only_while_no_key_is_needed(house: House) -> None:
    visit = house.visitors.passer_by("ada")
    assert visit is not None
    assert house.visitors.host(visit) == ADA
    house.open = False
    assert house.visitors.host(visit) is None
    assert house.visitors.passer_by("ada") is None


async def test_nobody_passes_by_at_an_agent_that_lets_no_visitors_in(house: House) -> None:
    await house.has(msgspec.structs.replace(ADA, channels=Channels(web=WebChannel(enabled=True))))
    assert house.visitors.passer_by("ada") is None
    assert house.visitors.passer_by("nobody") is None


@pytest.mark.parametrize("ttl_s", [0, -1, LONGEST_SECONDS + 1])
async def test_a_link_lasts_thirty_days_at_most(house: House, ttl_s: int) -> None:
    with pytest.raises(InvalidField):
        house.invited(ttl_s=ttl_s)


@pytest.mark.parametrize("label", ["x" * 101, "two\nlines", "a\x00b", "\u2028"])
async def test_a_sender_is_one_short_line(house: House, label: str) -> None:
    with pytest.raises(InvalidField):
        house.visitors.invite(ADA, client_id="", ttl_s=60, label=label)


async def test_nobody_is_invited_where_no_visitors_are_let_in(house: House) -> None:
    with pytest.raises(Conflict):
        house.invited(msgspec.structs.replace(ADA, channels=Channels()))


def test_another_secret_reads_nothing() -> None:
    token = SIGNATURES.token(Kind.LINK, VISIT)
    assert Signatures(Secret("another")).read(Kind.LINK, token, now_s=0) is None


def test_what_was_written_by_hand_is_not_signed() -> None:
    said, _, mark = SIGNATURES.token(Kind.LINK, VISIT).partition(".")
    richer = msgspec.structs.replace(VISIT, tenant_id="acme", expires_s=2**40)
    forged = base64.urlsafe_b64encode(msgspec.json.encode(richer)).rstrip(b"=").decode()
    for token in (f"{forged}.{mark}", f"{said}.", said, f".{mark}", f"{said}.{mark}.{mark}", f"{said}={'.'}{mark}"):
        assert SIGNATURES.read(Kind.LINK, token, now_s=0) is None


@given(some.text(max_size=300))
def test_nonsense_is_nobody(text: str) -> None:
    for kind in Kind:
        assert SIGNATURES.read(kind, text, now_s=0) is None


@given(some.integers(min_value=0), some.integers(min_value=1, max_value=255))
def test_a_token_with_one_changed_character_is_nobody(place: int, change: int) -> None:
    token = bytearray(SIGNATURES.token(Kind.SESSION, VISIT).encode())
    token[place % len(token)] ^= change
    assert SIGNATURES.read(Kind.SESSION, token.decode("latin-1"), now_s=0) is None
