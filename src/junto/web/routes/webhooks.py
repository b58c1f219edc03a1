"""The key that a client's webhooks are signed with, for the administrator to hand on."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from junto.web.deps import Admin, Services

router = APIRouter(tags=["administration"])


@router.get("/clients/{client_id}/webhook-secret")
async def webhook_secret(
    client_id: Annotated[str, Path(max_length=100)], services: Services, _: Admin
) -> dict[str, Any]:
    """The key itself: it is derived, so it can be shown again at any time, and it changes with the server's secret only."""
    client = await services.directory.get_client(client_id)
    key = services.webhook_key(client.tenant_id, client.id)
    return {"client_id": client.id, "secret": key.reveal(), "algorithm": "HMAC-SHA256", "header": "X-Junto-Signature"}
