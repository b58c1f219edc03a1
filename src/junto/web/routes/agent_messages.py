"""Messages to agents over HTTP. Reads and shows; agents/handler.py answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from junto.agents.payer import owned
from junto.core.errors import BodyTooLarge, InvalidField
from junto.core.sensitivity import parse_sensitivity
from junto.ports.agents import Channel, ChannelMessage
from junto.routing.sensitivity import effective_sensitivity
from junto.web.deps import Caller, Services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from junto.agents.dispatch import Grown
    from junto.agents.handler import Reply
    from junto.identity.principal import Principal
    from junto.web.services import WebServices

router = APIRouter(tags=["agents"])

_BEAT_SECONDS = 10.0
_LARGEST = 8 * 1024 * 1024  # characters; what an agent takes is less, and said in its own words
_SAID_IN = {"text": "message"}  # what the body calls it

type Name = Annotated[str, Path(max_length=100)]
type Label = Annotated[StrictStr, Field(min_length=1, max_length=150)]


class NewMessage(BaseModel):
    """What somebody says to an agent. The same `thread` is the same conversation, the same `message_id` the same message."""

    model_config = ConfigDict(extra="forbid")

    message: Annotated[StrictStr, Field(max_length=_LARGEST)]
    thread: Label | None = None
    message_id: Label | None = None
    sender: Annotated[StrictStr, Field(max_length=150)] = ""
    stream: StrictBool = False


class AgentReply(BaseModel):
    """The answer. `reply` is null as long as there is none: send the same message_id again. `fallback`: no model could answer."""

    reply: str | None
    conversation_id: str
    thread: str
    message_id: str
    fallback: bool
    job_id: str


@router.post("/agents/{name}/messages", response_model=AgentReply)
async def say(
    name: Name,
    body: NewMessage,
    services: Services,
    caller: Caller,
    x_junto_sensitivity: Annotated[list[str] | None, Header()] = None,
) -> Response:
    """Say something to an agent of the caller's tenant, in a conversation of the caller's own, and get its reply.

    200 with the reply; 202 where it was accepted and will be answered later. With `stream`, server-sent events: `text` with what
    is new from an offset on (0 begins anew), and `reply` as the last.
    """
    _check_tier(services, caller, name, x_junto_sensitivity or ())
    thread, message_id = body.thread or services.make_id(), body.message_id or services.make_id()
    message = ChannelMessage(
        tenant_id=caller.tenant,
        agent=name,
        channel=Channel.API,
        thread=owned(caller.client_id, thread),
        message_id=owned(caller.client_id, message_id),
        sender=body.sender,
        text=body.message,
        sent_ms=services.clock.wall_ms(),
    )
    told = {"thread": thread, "message_id": message_id}
    try:
        if body.stream:
            await services.agent_handler.accept(message, caller=caller)
            headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
            events = _events(services, message, caller, told)
            return StreamingResponse(events, media_type="text/event-stream", headers=headers)
        reply = await services.agent_handler.handle_message(message, caller=caller)
        if reply.refusal is not None:
            raise reply.refusal
    except (InvalidField, BodyTooLarge) as refused:
        refused.param = _SAID_IN.get(refused.param or "", refused.param)
        raise
    status = 202 if reply.is_pending else 200
    return Response(msgspec.json.encode(_shown(reply, told)), status_code=status, media_type="application/json")


def _check_tier(services: WebServices, caller: Principal, name: str, asked: Sequence[str]) -> None:
    """Refuse a tier that the agent does not hold: the messages of a conversation are shown together, under one floor."""
    if not asked:
        return
    wanted = max(parse_sensitivity(label.strip(), param="X-Junto-Sensitivity") for label in asked)
    agent = services.agent_handler.agent(caller.tenant, name)
    held = effective_sensitivity(
        default=services.current.runtime.default_sensitivity,
        principal_min=caller.min_sensitivity,
        route_floor=agent.sensitivity,
    )
    if wanted > held:
        raise InvalidField(
            f"The conversations of this agent are {held.label}: a stricter tier is set for the agent itself.",
            param="X-Junto-Sensitivity",
        )


async def _events(
    services: WebServices, message: ChannelMessage, caller: Principal, told: dict[str, str]
) -> AsyncIterator[bytes]:
    """The text as it grows, and the reply. Who leaves leaves the answer to come to be."""
    grown: asyncio.Queue[Grown | None] = asyncio.Queue()
    waiting = asyncio.create_task(services.agent_handler.handle_message(message, caller=caller, watch=grown.put_nowait))
    waiting.add_done_callback(lambda _: grown.put_nowait(None))
    try:
        while True:
            try:
                async with asyncio.timeout(_BEAT_SECONDS):
                    more = await grown.get()
            except TimeoutError:
                yield b": nothing new\n\n"
                continue
            if more is None:
                yield _event("reply", _shown(await waiting, told))
                return
            yield _event("text", {"offset": more.offset, "text": more.text})
    finally:
        waiting.cancel()


def _shown(reply: Reply, told: dict[str, str]) -> dict[str, Any]:
    return {
        "reply": reply.text or None,
        "conversation_id": reply.conversation_id,
        **told,
        "fallback": reply.fallback,
        "job_id": reply.job_id,
    }


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))
