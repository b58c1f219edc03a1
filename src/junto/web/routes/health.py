"""Health: open to everyone, without content."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from junto.web.deps import Services
from junto.web.services import WebServices

router = APIRouter(tags=["health"])


@router.get("/health")
async def health(services: Services) -> dict[str, Any]:
    """How everything is: `ok`, or `degraded` when the database, Redis or every backend is away, or nothing can be recorded."""
    database = await services.database_answers()
    backends = backend_states(services)
    has_room = services.recorder.has_room
    redis_up = services.redis_up is None or services.redis_up()
    fine = database and redis_up and has_room and any(backend["status"] == "up" for backend in backends)
    return {
        "status": "ok" if fine else "degraded",
        "version": services.build.version,
        "git_sha": services.build.git_sha,
        "database": "ok" if database else "down",
        **({} if services.redis_up is None else {"redis": "ok" if redis_up else "away"}),
        "queue": "full" if not has_room else "ok" if redis_up else "away",
        "backends": backends,
    }


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(services: Services, response: Response) -> dict[str, Any]:
    """Whether to send requests here: 200, or 503 and why while nobody can answer, nothing can be recorded or the database is away.

    Redis is no reason: without it Junto is slower, and nothing is lost.
    """
    waits_for = [
        what
        for what, is_there in (
            ("database", await services.database_answers()),
            ("journal", services.recorder.has_room),
            ("backends", any(backend["status"] == "up" for backend in backend_states(services))),
        )
        if not is_there
    ]
    response.status_code = 503 if waits_for else 200
    return {"status": "not_ready", "waits_for": waits_for} if waits_for else {"status": "ready"}


def backend_states(services: WebServices) -> list[dict[str, Any]]:
    """Name, status and number of models of each backend."""
    deployments = services.current.runtime.snapshot.deployments
    return [
        {
            "name": name,
            "status": "down" if watched.failure else "up",
            "models": sum(1 for deployment in deployments if deployment.backend == name),
        }
        for name, watched in services.heartbeats.backends.items()
        if watched.is_shown
    ]
