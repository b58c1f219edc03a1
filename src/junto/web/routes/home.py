"""The front page: a line for Ollama's clients, JSON for programs, a small page for people."""

from __future__ import annotations

from importlib import resources

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse

from junto.web.deps import Services

router = APIRouter(tags=["home"])


@router.head("/", include_in_schema=False)
async def alive() -> Response:
    """What Ollama's clients ask before anything else."""
    return Response(status_code=200)


@router.get("/")
async def home(request: Request, services: Services) -> Response:
    """Who is here: a page for browsers, JSON for who accepts it, else the line that Ollama's clients look for."""
    accept = request.headers.get("accept", "")
    if "text/html" in accept:
        return HTMLResponse(read_asset("home.html").decode(), headers=PAGE_HEADERS)
    if "application/json" in accept:
        build = services.build
        return JSONResponse(
            {"name": "junto", "version": build.version, "git_sha": build.git_sha, "docs": "/openapi.json"}
        )
    return PlainTextResponse("Ollama is running (Junto)\n")


_ASSETS = frozenset({"home.css", "home.js", "chat.css", "chat.js"})
_MEDIA_TYPES = {"css": "text/css", "js": "text/javascript"}
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@router.get("/assets/{name}", include_in_schema=False)
async def asset(name: str) -> Response:
    """The pages' styles and scripts; only names that are listed here."""
    if name not in _ASSETS:
        return Response(status_code=404)
    return Response(read_asset(name), media_type=_MEDIA_TYPES[name.rpartition(".")[2]], headers=PAGE_HEADERS)


def read_asset(name: str) -> bytes:
    """A file of the pages."""
    return resources.files("junto.web").joinpath("assets", name).read_bytes()
