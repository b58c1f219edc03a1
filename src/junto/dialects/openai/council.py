"""The request of `/v1/council/chat`: a chat completion that names a template instead of a model, and may change its members.

Its answers are chat completions, with a `council` object beside them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.chat import ChatRequest
from junto.core.errors import InvalidField
from junto.dialects.decoding import decode_body
from junto.dialects.openai.peek import ChatHead, chat_head
from junto.dialects.openai.requests import ChatBody, chat_request
from junto.dialects.wire import Head

PREFIX = "council/"
USUAL_TEMPLATE = "diverse-analysis"


class CouncilHead(ChatHead, kw_only=True):
    """What is looked at: `model` may name the council as well, or a model for the members that name none."""

    model: str = ""
    template: str = ""


class CouncilBody(ChatBody, kw_only=True):
    """The whole body; what `members` and `rounds` may be is the council's business, so they are passed on as they are."""

    model: str = ""
    template: str = ""


_decode_head = msgspec.json.Decoder(CouncilHead)
_decode_body = msgspec.json.Decoder(CouncilBody)


def peek_council(body: bytes) -> Head:
    """The head of a question to a council."""
    chat = decode_body(_decode_head, body)
    return chat_head(chat, body, PREFIX + _template(chat.model, chat.template))


def parse_council(body: bytes) -> ChatRequest:
    """The canonical request; `extras` say the members' own model, and what the caller changes about the template."""
    chat = decode_body(_decode_body, body)
    request = chat_request(chat, body)
    extras: dict[str, Any] = {name: value for name, value in request.extras.items() if name != "template"}
    if chat.model and not chat.model.startswith(PREFIX):
        extras["model"] = chat.model
    return msgspec.structs.replace(
        request,
        model=PREFIX + _template(chat.model, chat.template),
        extras_of="openai" if extras else "",
        extras=extras,
    )


def _template(model: str, template: str) -> str:
    named = model.removeprefix(PREFIX) if model.startswith(PREFIX) else ""
    if named and template and named != template:
        raise InvalidField(
            f"The model names the council {named!r}, and the template is {template!r}.", param="template"
        )
    return template or named or USUAL_TEMPLATE
