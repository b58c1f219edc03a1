"""A tenant's agents and their conversations, for the administrator. Without a tenant the default one is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from msgspec import UNSET, UnsetType
from pydantic import ConfigDict, Field, StrictBool, StrictInt, StrictStr

from junto.agents.model import LONGEST, LONGEST_RETENTION_DAYS, MOST_SLACK_CHANNELS
from junto.catalog.tasks import resolve_named
from junto.core.errors import UnknownModel
from junto.core.sensitivity import parse_sensitivity
from junto.identity.principal import DEFAULT_TENANT
from junto.ports.agents import AgentChanges, Channel, ConversationQuery, SlackChannel, WebChannel
from junto.web.deps import Admin, Services
from junto.web.routes.routing import Strict

if TYPE_CHECKING:
    from junto.ports.agents import Agent, Conversation, Turn

router = APIRouter(tags=["agents"])

_NAME = r"^[a-z0-9-]{1,64}$"
_ID = r"^[a-z]{1,8}_[0-9a-f]{1,40}$"

type Name = Annotated[StrictStr, Field(pattern=_NAME)]
type NameInPath = Annotated[str, Path(max_length=200)]
type ConversationId = Annotated[str, Path(max_length=100)]
type TenantInQuery = Annotated[str, Query(alias="tenant", min_length=1, max_length=100, pattern=r"^[^\x00]+$")]
type TenantInBody = Annotated[StrictStr, Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]
type PageSize = Annotated[int, Query(ge=1, le=500)]
type SlackId = Annotated[StrictStr, Field(max_length=32)]


class Web(Strict):
    """The chat page, and whether visitors with a signed link may use it."""

    enabled: StrictBool = False
    visitors: StrictBool = False


class Slack(Strict):
    """Which of Slack's events are the agent's: of a workspace, an app, some channels; what is left out is any."""

    enabled: StrictBool = False
    team: SlackId = ""
    app: SlackId = ""
    channels: Annotated[list[SlackId], Field(max_length=MOST_SLACK_CHANNELS)] = []


class ChannelsBody(Strict):
    """Where people can talk to the agent, beside the API. A channel that is left out stays as it is; one that is there is the whole of it."""

    web: Web = Web()
    slack: Slack = Slack()

    def web_channel(self) -> WebChannel | UnsetType:
        """The web channel, if the body has it."""
        return WebChannel(**self.web.model_dump()) if "web" in self.model_fields_set else UNSET

    def slack_channel(self) -> SlackChannel | UnsetType:
        """The Slack channel, if the body has it."""
        slack = self.slack.model_dump()
        given = SlackChannel(**{**slack, "channels": tuple(slack["channels"])})
        return given if "slack" in self.model_fields_set else UNSET


class _AgentFields(Strict):
    display_name: Annotated[StrictStr, Field(max_length=LONGEST["display_name"])] = ""
    role: Annotated[StrictStr, Field(max_length=LONGEST["role"])] = ""
    persona: Annotated[StrictStr, Field(max_length=LONGEST["persona"])] = ""
    instructions: Annotated[StrictStr, Field(max_length=LONGEST["instructions"])] = ""
    model: Annotated[StrictStr, Field(min_length=1, max_length=LONGEST["model"])] = "fast"
    sensitivity: Literal["public", "internal", "confidential"] | None = None
    tools: StrictBool = False
    channels: ChannelsBody = ChannelsBody()
    retention_days: Annotated[StrictInt, Field(ge=1, le=LONGEST_RETENTION_DAYS)] | None = None
    enabled: StrictBool = True

    def changes(self) -> AgentChanges:
        """What the body says, as changes."""
        tier = self._given("sensitivity")
        return AgentChanges(
            display_name=self._given("display_name"),
            role=self._given("role"),
            persona=self._given("persona"),
            instructions=self._given("instructions"),
            model=self._given("model"),
            sensitivity=parse_sensitivity(tier) if isinstance(tier, str) else tier,
            tools=self._given("tools"),
            web=self.channels.web_channel(),
            slack=self.channels.slack_channel(),
            retention_days=self._given("retention_days"),
            enabled=self._given("enabled"),
        )

    def _given(self, name: str) -> Any:
        return getattr(self, name) if name in self.model_fields_set else UNSET


class NewAgent(_AgentFields):
    """An agent to be made: its name is its address, `agent/<name>` as a model, and stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "front-desk",
                    "display_name": "Ada",
                    "role": "front desk of the museum",
                    "persona": "Warm, brief, never guesses.",
                    "instructions": "Open Tuesday to Sunday, 10 to 18. Send groups to groups@museum.example.",
                    "model": "fast",
                    "sensitivity": "internal",
                    "channels": {"web": {"enabled": True, "visitors": True}},
                    "retention_days": 30,
                }
            ]
        }
    )

    name: Name
    tenant: TenantInBody = DEFAULT_TENANT


class ChangedAgent(_AgentFields):
    """What to change of an agent; a channel that is named is replaced, others stay. `enabled: false` takes it out of service at once."""


class NamedChange(ChangedAgent):
    """The same, with the name of the agent that is meant."""

    name: Name
    tenant: TenantInBody = DEFAULT_TENANT


@router.post("/agents", status_code=201)
async def create_agent(body: NewAgent, services: Services, admin: Admin) -> dict[str, Any]:
    """A new agent, in service from the next request on."""
    agent = await services.agents.create(body.tenant, body.name, body.changes(), author=admin.client)
    return shown(agent) | _warnings(services, agent)


@router.get("/agents")
async def list_agents(
    services: Services,
    _: Admin,
    *,
    tenant: TenantInQuery = DEFAULT_TENANT,
    after: Annotated[str | None, Query(pattern=_NAME)] = None,
    limit: PageSize = 100,
) -> dict[str, Any]:
    """A tenant's agents by name; `next` is the `after` of the following page."""
    page = await services.agents.agents(tenant, after=after, limit=limit)
    return {"agents": [shown(agent) for agent in page], "next": page[-1].name if len(page) == limit else None}


@router.patch("/agents")
async def change_named_agent(body: NamedChange, services: Services, admin: Admin) -> dict[str, Any]:
    """Change what the body names of the agent that it names."""
    agent = await services.agents.change(body.tenant, body.name, body.changes(), author=admin.client)
    return shown(agent) | _warnings(services, agent)


@router.get("/agents/{name}")
async def show_agent(
    name: NameInPath, services: Services, _: Admin, tenant: TenantInQuery = DEFAULT_TENANT
) -> dict[str, Any]:
    """One agent."""
    return shown(await services.agents.get(tenant, name))


@router.patch("/agents/{name}")
async def change_agent(
    name: NameInPath, body: ChangedAgent, services: Services, admin: Admin, tenant: TenantInQuery = DEFAULT_TENANT
) -> dict[str, Any]:
    """Change what the body names, in force from the next request on."""
    agent = await services.agents.change(tenant, name, body.changes(), author=admin.client)
    return shown(agent) | _warnings(services, agent)


@router.delete("/agents/{name}")
async def delete_agent(
    name: NameInPath, services: Services, admin: Admin, tenant: TenantInQuery = DEFAULT_TENANT
) -> dict[str, Any]:
    """Delete an agent with all its conversations. Nothing of them can be had back."""
    gone = await services.agents.delete(tenant, name, author=admin.client)
    return {"name": gone.name, "tenant": gone.tenant_id, "deleted": True}


@router.get("/agents/{name}/conversations")
async def list_conversations(
    name: NameInPath,
    services: Services,
    _: Admin,
    *,
    tenant: TenantInQuery = DEFAULT_TENANT,
    channel: Channel | None = None,
    before: Annotated[str | None, Query(pattern=_ID)] = None,
    limit: PageSize = 100,
) -> dict[str, Any]:
    """An agent's conversations without what was said, newest first; `next` is the `before` of the following page."""
    query = ConversationQuery(channel=channel, before=before, limit=limit)
    page = await services.agents.conversations(tenant, name, query)
    return {
        "conversations": [_conversation(one) for one in page],
        "next": page[-1].id if len(page) == limit else None,
    }


@router.get("/agents/{name}/conversations/{conversation_id}")
async def show_conversation(
    name: NameInPath,
    conversation_id: ConversationId,
    services: Services,
    _: Admin,
    *,
    tenant: TenantInQuery = DEFAULT_TENANT,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: PageSize = 100,
) -> dict[str, Any]:
    """What was said, oldest first; `next` is the `after` of the following page. `summary` stands for turns up to `summary_upto`."""
    found = await services.agents.read(tenant, name, conversation_id, after=after, limit=limit)
    return {
        **_conversation(found.conversation),
        "summary": found.history.summary,
        "summary_upto": found.history.summary_upto,
        "messages": [_turn(turn) for turn in found.turns],
        "next": found.turns[-1].number if len(found.turns) == limit else None,
    }


@router.delete("/agents/{name}/conversations/{conversation_id}")
async def delete_conversation(
    name: NameInPath,
    conversation_id: ConversationId,
    services: Services,
    admin: Admin,
    tenant: TenantInQuery = DEFAULT_TENANT,
) -> dict[str, Any]:
    """Delete a conversation: what was said, its summary, and what was still to be answered."""
    gone = await services.agents.forget(tenant, name, conversation_id, author=admin.client)
    return {"id": gone.id, "agent": gone.agent, "deleted": True}


def _warnings(services: Services, agent: Agent) -> dict[str, list[str]]:
    """What keeps the agent from answering now: a model may come later, so it is no error."""
    try:
        resolve_named(services.current.runtime.snapshot, services.routes.table, agent.model)
    except UnknownModel as unknown:
        return {"warnings": [f"{unknown.message} Until there is, people are told that the agent cannot answer."]}
    return {}


def shown(agent: Agent) -> dict[str, Any]:
    """An agent as it is shown."""
    return {
        "id": agent.id,
        "name": agent.name,
        "tenant": agent.tenant_id,
        "display_name": agent.display_name,
        "role": agent.role,
        "persona": agent.persona,
        "instructions": agent.instructions,
        "model": agent.model,
        "sensitivity": None if agent.sensitivity is None else agent.sensitivity.label,
        "tools": agent.tools,
        "channels": {
            "web": {"enabled": agent.channels.web.enabled, "visitors": agent.channels.web.visitors},
            "slack": {
                "enabled": agent.channels.slack.enabled,
                "team": agent.channels.slack.team,
                "app": agent.channels.slack.app,
                "channels": agent.channels.slack.channels,
            },
        },
        "retention_days": agent.retention_days,
        "enabled": agent.enabled,
        "created_ms": agent.created_ms,
        "updated_ms": agent.updated_ms,
    }


def _conversation(one: Conversation) -> dict[str, Any]:
    return {
        "id": one.id,
        "agent": one.agent,
        "tenant": one.tenant_id,
        "channel": one.channel.value,
        "thread": one.thread,
        "turns": one.turns,
        "created_ms": one.created_ms,
        "updated_ms": one.updated_ms,
    }


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "number": turn.number,
        "role": turn.role.value,
        "text": turn.text,
        "sender": turn.sender,
        "message_id": turn.message_id,
        "attachments": [{"name": one.name, "url": one.url} for one in turn.attachments],
        "fallback": turn.fallback,
        "tokens": turn.tokens,
        "sent_ms": turn.sent_ms,
    }
