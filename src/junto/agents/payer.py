"""Who the jobs of an agent run as: whose limits, budgets, floor and list of models count.

What came by a client's key is that client's: asking through an agent opens nothing that the client may not have, and is paid from
its budgets. So is what the visitors say whom it has invited to the web chat. Everybody else (other visitors, people in Slack,
whoever asks without a key, the administrator) is a guest of the tenant: a principal without a key, one for each tenant, made on
demand, in no database. The tenant's limits and budgets count for it, its cost is in the tenant's ledger under
`agents:<tenant>`, and it shares the workers fairly as one client, however many agents the tenant has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from junto.agents.model import AGENT_PREFIX
from junto.core.errors import Forbidden
from junto.core.limits import Limits
from junto.identity.keyring import limited_by
from junto.identity.principal import DEFAULT_TENANT, Principal
from junto.ports.agents import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.identity.keyring import Keyring
    from junto.ports.agents import Agent, ChannelMessage

CLIENT: Final = "agents"
_NOBODY: Final = "-"  # of no client: the administrator, and whoever asks in open mode
_BETWEEN: Final = "/"


def owned(client_id: str, name: str) -> str:
    """A client's name for a thread or a message, as no other client's can be."""
    return f"{client_id or _NOBODY}{_BETWEEN}{name}"


def owner_of(name: str) -> str:
    """The id of the client whose thread or message that is; "" for nobody's."""
    client_id = name.partition(_BETWEEN)[0]
    return "" if client_id == _NOBODY else client_id


def _client_of(message: ChannelMessage) -> str:
    """The id of the client that pays; "" for none."""
    has_owner = message.channel is Channel.API or (message.channel is Channel.WEB and _BETWEEN in message.thread)
    return owner_of(message.thread) if has_owner else ""


class Payers:
    """Finds who pays for the answer to a message. `guests_to_cloud` says whether what is internal may go to the cloud for guests."""

    def __init__(self, keyring: Keyring, *, guests_to_cloud: Callable[[], bool]) -> None:
        self._keyring = keyring
        self._guests_to_cloud = guests_to_cloud

    def of(self, message: ChannelMessage, caller: Principal | None = None) -> Principal:
        """The principal to submit as; raises Forbidden for a client or tenant that is disabled or gone.

        Invariant: with and without the `caller` (who is known only while it waits) it has the same client id, so that the job of a
        message is found again by whoever takes it up later.
        """
        if caller is not None and caller.client_id:
            return caller
        client_id = _client_of(message)
        if not client_id:
            return self.guest(message.tenant_id)
        known = self._keyring.client(client_id)
        if known is None or known.principal.tenant != message.tenant_id:
            raise Forbidden("The client that asked is not there any more.")
        if known.refusal:
            raise Forbidden(known.refusal)
        return known.principal

    def guest(self, tenant_id: str) -> Principal:
        """Whoever has no key, in that tenant; raises Forbidden where the tenant is disabled or gone."""
        tenant = self._keyring.tenant(tenant_id)
        client_id = f"{CLIENT}:{tenant_id}"
        guest = Principal(
            tenant=tenant_id,
            client=CLIENT,
            client_id=client_id,
            scopes=frozenset(),
            allow_cloud_for_internal=self._guests_to_cloud(),
        )
        if tenant is None and tenant_id == DEFAULT_TENANT:
            return guest
        if tenant is None or not tenant.enabled:
            raise Forbidden("The tenant is disabled.")
        return msgspec.structs.replace(
            guest, limited_by=limited_by(client_id, Limits(), tenant), budgets=tenant.budgets
        )


def check_allowed(payer: Principal, agent: Agent) -> None:
    """Raise Forbidden where the payer's list of models has neither the agent nor what is behind it."""
    allowed = payer.allowed_models
    if allowed is not None and not allowed & {AGENT_PREFIX + agent.name, agent.model}:
        raise Forbidden(f"The agent {agent.name} is not on this client's list of models.")


def opens(payer: Principal, agent: Agent) -> bool:
    """Whether the payer's list has the agent by its name, which opens the model behind it."""
    return payer.allowed_models is not None and AGENT_PREFIX + agent.name in payer.allowed_models
