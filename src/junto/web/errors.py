"""Errors of the control plane as answers, in the dialect that the path belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from junto.core.errors import InvalidField, JuntoError, MalformedBody, NotFound
from junto.web.replies import error_headers
from junto.web.wires import wire_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class _MethodNotAllowed(JuntoError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


def install_error_handlers(app: FastAPI) -> None:
    """Teach the application to answer with Junto's errors."""
    app.add_exception_handler(JuntoError, _junto_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


def error_response(request: Request, error: JuntoError, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that tells this error to the caller; `headers` go with it."""
    request.app.state.services.refusals.request_refused(status=error.status, code=error.code)
    told = {name.decode(): value.decode() for name, value in error_headers(error)}
    body = wire_of(request.scope).render_error(error)
    return Response(body, status_code=error.status, headers={**told, **(headers or {})}, media_type="application/json")


async def _junto_error(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, JuntoError) else JuntoError("Something went wrong inside Junto.")
    return error_response(request, known)


async def _validation_error(request: Request, error: Exception) -> Response:
    first = error.errors()[0] if isinstance(error, RequestValidationError) and error.errors() else {}
    return error_response(request, _in_words(first))


def _in_words(wrong: Mapping[str, Any]) -> JuntoError:
    """What the framework's validation found, in words for people; `loc` begins with the part of the request."""
    kind = wrong.get("type")
    part, *steps = wrong.get("loc") or ("",)
    where = ".".join(str(step) for step in steps)
    if kind == "json_invalid":
        return MalformedBody("The body is not valid JSON.")
    if part == "body" and not steps:
        return InvalidField("A JSON body is needed." if kind == "missing" else "The body has to be a JSON object.")
    if part == "header":
        where = "-".join(word.capitalize() for word in where.split("-"))
    if kind == "extra_forbidden":
        return InvalidField(f"{where}: there is no such field here.", param=where)
    if kind == "missing":
        return InvalidField(f"{where}: it is required.", param=where)
    return InvalidField(f"{where or 'The request'}: {wrong.get('msg', 'is invalid')}.", param=where or None)


async def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    path = request.url.path
    if isinstance(error.__cause__, JuntoError):  # raised below the framework, while it read the body
        return error_response(request, error.__cause__)
    if status == 400:  # noqa: PLR2004
        return error_response(request, MalformedBody("The body could not be read."))
    if status == 404:  # noqa: PLR2004
        return error_response(request, NotFound(f"There is nothing at {path[:200]}."))
    if status == 405:  # noqa: PLR2004
        refused = _MethodNotAllowed(f"{request.method} is not served at {path[:200]}.")
        return error_response(request, refused, getattr(error, "headers", None))
    return error_response(request, JuntoError("The request could not be served."))


async def _unexpected(request: Request, error: Exception) -> Response:
    structlog.get_logger().error("request_failed", path=request.url.path, exc_info=error)
    return error_response(request, JuntoError("Something went wrong inside Junto."))
