"""Assembles the web chat: its visitors, the conversations that are shown live, and the sockets."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from junto.agents.visitors import Signatures, Visitors
from junto.bootstrap.ids import id_maker
from junto.bootstrap.webhooks import server_secret
from junto.channels.webchat import WebChat
from junto.channels.webchat_threads import LiveThreads

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from junto.agents.handler import Handler
    from junto.bootstrap.node import Given, Node
    from junto.identity.keyring import Keyring
    from junto.settings.model import Settings

_BYTES = 12  # of a visitor's id, and of a log's


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWebChat:
    """What the web edge serves."""

    visitors: Visitors
    sockets: WebChat


def open_webchat(settings: Settings, given: Given, node: Node, handler: Handler, stack: AsyncExitStack) -> OpenWebChat:
    """Ready for sockets until the stack is closed; opened after the handler, so that it stops before it."""
    visitors = Visitors(
        Signatures(server_secret(settings.data_dir, settings.secrets_key)),
        node.agents.shelf,
        may_pay=partial(_may_pay, node.identity.keyring),
        needs_no_key=lambda: node.operation.keeps_strangers_out,
        make_visitor=partial(secrets.token_urlsafe, _BYTES),
        clock=given.clock,
    )
    threads = LiveThreads(
        handler=handler,
        store=node.agents.conversations,
        signals=node.coordination.signals,
        clock=given.clock,
        make_id=partial(secrets.token_urlsafe, _BYTES),
    )
    threads.start()
    stack.push_async_callback(threads.stop)
    sockets = WebChat(
        visitors,
        threads,
        make_id=id_maker(given.clock),
        clock=given.clock,
        refusals=node.observing.observer,
    )
    return OpenWebChat(visitors=visitors, sockets=sockets)


def _may_pay(keyring: Keyring, client_id: str, tenant_id: str) -> bool:
    known = keyring.client(client_id)
    return known is not None and not known.refusal and known.principal.tenant == tenant_id
