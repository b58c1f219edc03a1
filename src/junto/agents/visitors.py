"""Visitors of the web chat: the links that invite them, and their sessions. Both are signed and stored nowhere.

    token  base64url(JSON) "." base64url(HMAC-SHA256(key of its kind, the part before the dot))
    key    HMAC-SHA256(server secret, "junto visitor link v1" or "junto chat session v1")

A signature says who somebody is and until when. Whether the agent still lets visitors in, and whoever invited them is still good
for it, is asked each time: so a link is revoked by turning off `visitors` or the agent, or the client that made it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from junto.agents.payer import owned
from junto.core.errors import Conflict, InvalidField
from junto.identity.principal import DEFAULT_TENANT

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.agents.shelf import AgentShelf
    from junto.core.secret import Secret
    from junto.ports.agents import Agent
    from junto.ports.clock import Clock

LONGEST_SECONDS: Final = 30 * 24 * 60 * 60
LONGEST_LABEL: Final = 100  # characters
_LONGEST_TOKEN = 2_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Visit(msgspec.Struct, frozen=True, array_like=True):
    """Whom a token stands for. `client_id` is the client that made the link and pays for it; "" for nobody's.

    `visitor` is the person's id, and one conversation with the agent. `passing`: who asked needed no key, and the visit is good only
    as long as nobody does.
    """

    tenant_id: str
    agent_id: str
    agent: str  # its name
    client_id: str
    visitor: str
    expires_s: int  # seconds since the epoch
    label: str = ""
    passing: bool = False

    @property
    def thread(self) -> str:
        """The conversation's name in the web channel."""
        return owned(self.client_id, self.visitor)

    @property
    def sender(self) -> str:
        """What the person is called, as far as anybody has said."""
        return self.label or self.visitor


class Kind(StrEnum):
    """What a token is good for. One of a kind is never taken for the other."""

    LINK = "junto visitor link v1"
    SESSION = "junto chat session v1"


class Signatures:
    """Makes and reads tokens with keys derived from the server's secret. Pure."""

    def __init__(self, server_secret: Secret) -> None:
        secret = server_secret.reveal().encode()
        self._keys = {kind: hmac.digest(secret, kind.value.encode(), hashlib.sha256) for kind in Kind}

    def token(self, kind: Kind, visit: Visit) -> str:
        """The token that says this."""
        said = _encoded(msgspec.json.encode(visit))
        return f"{said}.{self._mark(kind, said)}"

    def read(self, kind: Kind, token: str, *, now_s: int) -> Visit | None:
        """Whom it stands for; None for what was not signed here, or is over."""
        said, _, mark = token.partition(".")
        if len(token) > _LONGEST_TOKEN or not token.isascii():
            return None
        if not hmac.compare_digest(self._mark(kind, said), mark):
            return None
        try:
            visit = msgspec.json.decode(_decoded(said), type=Visit)
        except (msgspec.MsgspecError, binascii.Error):
            return None
        return visit if now_s < visit.expires_s else None

    def _mark(self, kind: Kind, said: str) -> str:
        return _encoded(hmac.digest(self._keys[kind], said.encode(), hashlib.sha256))


class Visitors:
    """Invites and admits them.

    `may_pay` says whether a client of a tenant is good for its visitors now, `needs_no_key` whether whoever is on this machine may ask.
    """

    def __init__(
        self,
        signatures: Signatures,
        shelf: AgentShelf,
        *,
        may_pay: Callable[[str, str], bool],
        needs_no_key: Callable[[], bool],
        make_visitor: Callable[[], str],
        clock: Clock,
    ) -> None:
        self._signatures = signatures
        self._shelf = shelf
        self._may_pay = may_pay
        self._needs_no_key = needs_no_key
        self._make_visitor = make_visitor
        self._clock = clock

    def invite(
        self, agent: Agent, *, client_id: str, ttl_s: int, label: str, passing: bool = False
    ) -> tuple[Visit, str]:
        """A new visitor of an agent, and the token of its link. Raises Conflict where the agent lets none in, InvalidField."""
        if not 1 <= ttl_s <= LONGEST_SECONDS:
            raise InvalidField(f"ttl_s is from 1 to {LONGEST_SECONDS} seconds, which is 30 days.", param="ttl_s")
        if len(label) > LONGEST_LABEL or _CONTROL.search(label):
            raise InvalidField(f"sender is one line of {LONGEST_LABEL} characters at most.", param="sender")
        if not _lets_in(agent):
            raise Conflict(f"The agent {agent.name} lets no visitors in: channels.web needs enabled and visitors.")
        visit = self._visit(agent, client_id=client_id, ttl_s=ttl_s, label=label, passing=passing)
        return visit, self._signatures.token(Kind.LINK, visit)

    def by_link(self, agent: str, token: str) -> Visit | None:
        """Whom a link to that agent stands for."""
        return self._read(Kind.LINK, agent, token)

    def by_session(self, agent: str, token: str) -> Visit | None:
        """Whose session with that agent it is."""
        return self._read(Kind.SESSION, agent, token)

    def session(self, visit: Visit) -> str:
        """The token of a visitor's session; it is over when the link is."""
        return self._signatures.token(Kind.SESSION, visit)

    def passer_by(self, name: str) -> Visit | None:
        """A new visitor without a link, of this machine, while no key is needed. None where one is, or the agent lets none in."""
        agent = self._shelf.find(DEFAULT_TENANT, name)
        if agent is None or not _lets_in(agent) or not self._needs_no_key():
            return None
        return self._visit(agent, client_id="", ttl_s=LONGEST_SECONDS, label="", passing=True)

    def host(self, visit: Visit) -> Agent | None:
        """The agent that a visitor may talk to at this moment; None where it may not any more."""
        agent = self._shelf.find(visit.tenant_id, visit.agent)
        if agent is None or agent.id != visit.agent_id or not _lets_in(agent):
            return None
        if visit.client_id and not self._may_pay(visit.client_id, visit.tenant_id):
            return None
        return None if visit.passing and not self._needs_no_key() else agent

    def is_over(self, visit: Visit) -> bool:
        """Whether its time has passed."""
        return self._now_s() >= visit.expires_s

    def seconds_left(self, visit: Visit) -> int:
        """Until it is over."""
        return max(0, visit.expires_s - self._now_s())

    def _read(self, kind: Kind, agent: str, token: str) -> Visit | None:
        visit = self._signatures.read(kind, token, now_s=self._now_s())
        return visit if visit is not None and visit.agent == agent else None

    def _visit(self, agent: Agent, *, client_id: str, ttl_s: int, label: str, passing: bool) -> Visit:
        return Visit(
            tenant_id=agent.tenant_id,
            agent_id=agent.id,
            agent=agent.name,
            client_id=client_id,
            visitor=self._make_visitor(),
            expires_s=self._now_s() + ttl_s,
            label=label,
            passing=passing,
        )

    def _now_s(self) -> int:
        return self._clock.wall_ms() // 1000


def _lets_in(agent: Agent) -> bool:
    return agent.enabled and agent.channels.web.enabled and agent.channels.web.visitors


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
