"""A secret shows itself to nobody who does not ask for it by name."""

import copy
import json
import pickle
import traceback

import pytest

from junto.core.secret import MASK, Secret

CANARY = "sk-canary"


def test_no_way_of_printing_shows_it() -> None:
    """Formatting, containers, exceptions."""
    secret = Secret(CANARY)
    try:
        raise ValueError(secret)  # noqa: TRY301
    except ValueError:
        raised = traceback.format_exc()
    shown = [f"{secret}", f"{secret!r}", f"{secret:>20}", str([secret]), "%s" % secret, str({secret: 1}), raised]  # noqa: UP031
    assert all(CANARY not in text for text in shown)
    assert str(secret) == MASK


def test_it_is_neither_pickled_nor_copied_nor_encoded() -> None:
    """So that it ends up in no file by accident."""
    for attempt in (pickle.dumps, copy.copy, json.dumps):
        with pytest.raises(TypeError):
            attempt(Secret(CANARY))


def test_it_is_equal_to_the_same_secret_only() -> None:
    """And to no plain text."""
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret("other")
    assert Secret(CANARY) != CANARY
    assert len({Secret(CANARY), Secret(CANARY)}) == 1
    assert Secret(CANARY).reveal() == CANARY
    assert not Secret("")
