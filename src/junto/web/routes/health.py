"""Health: open to everyone, without content."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from junto.web.deps import Services
from junto.web.services import WebServices

router = APIRouter(tags=["health"])


@router.get("/health")
async def health(services: Services) -> dict[str, Any]:
    """How everything is: `ok`, or `degraded` when the database or every backend is away."""
    database = await services.database_answers()
    backends = backend_states(services)
    fine = database and services.recorder.has_room and any(backend["status"] == "up" for backend in backends)
    return {
        "status": "ok" if fine else "degraded",
        "version": services.build.version,
        "git_sha": services.build.git_sha,
        "database": "ok" if database else "down",
        "queue": "ok" if services.recorder.has_room else "full",
        "backends": backends,
    }


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process runs."""
    return {"status": "ok"}


@router.get("/health/ready")
async def ready(services: Services, response: Response) -> dict[str, Any]:
    """Whether requests can be taken: 200, or 503 while there is nobody to answer or no room to record."""
    able = services.recorder.has_room and any(backend["status"] == "up" for backend in backend_states(services))
    response.status_code = 200 if able else 503
    return {"status": "ready" if able else "not_ready"}


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
