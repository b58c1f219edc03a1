"""Anthropic's token count, estimated: Junto's own arithmetic, so that nothing leaves the process for it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from junto.dialects import anthropic
from junto.web.bodies import checked_body
from junto.web.deps import Caller, Services

router = APIRouter(tags=["anthropic"])


@router.post("/v1/messages/count_tokens")
async def count_tokens(request: Request, services: Services, _: Caller) -> Response:
    """About how many input tokens a message would use."""
    body = await checked_body(request, services.body_limit())
    anthropic.parse_count_tokens(body)
    return Response(anthropic.render_count(anthropic.MESSAGES.peek(body).prompt_tokens), media_type="application/json")
