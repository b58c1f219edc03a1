"""Stored templates as values, for the book in force: read whole whenever one has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from junto.core.errors import InvalidField
from junto.council.template import parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.council.model import Template
    from junto.ports.councils import CouncilStore, StoredTemplate


async def load_stored(store: CouncilStore, receive: Callable[[Sequence[Template]], None]) -> None:
    """Give away every template that is stored now; what the store raises leaves the receiver with what it has."""
    read = [_read(one) for one in await store.all()]
    receive(tuple(template for template in read if template is not None))


def _read(stored: StoredTemplate) -> Template | None:
    """What another version of Junto stored may be no template to this one: it is passed over."""
    try:
        return parse_template(msgspec.json.decode(stored.document), stored.name)
    except (InvalidField, msgspec.MsgspecError) as error:
        structlog.get_logger().error("council_template_passed_over", template=stored.name, error=str(error))
        return None
