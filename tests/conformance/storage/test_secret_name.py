"""The name of the secret in every database: the first is kept, no other may work there, and a new one is a word of the operator."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING

import pytest

from junto.core.secret import Secret
from junto.storage.sealing import Sealer, name_of
from junto.storage.secret_name import OtherSecret, keep_or_refuse, kept_name, replace
from tests.conformance.jobs.desk import ANSWERED, Desk

if TYPE_CHECKING:
    from junto.storage.engine import Database
    from junto.storage.sessions import Sessions

pytestmark = pytest.mark.anyio


def sealer(secret: str) -> Sealer:
    return Sealer(Secret(secret), entropy=secrets.token_bytes)


async def test_a_database_in_the_clear_keeps_no_name_and_lets_everybody_work(sessions: Sessions) -> None:
    await keep_or_refuse(sessions, None)
    await keep_or_refuse(sessions, None)
    assert await kept_name(sessions) is None


async def test_the_first_secret_is_kept_also_where_there_was_none_before(sessions: Sessions) -> None:
    await keep_or_refuse(sessions, None)
    await keep_or_refuse(sessions, "1a2b3c4d")
    await keep_or_refuse(sessions, "1a2b3c4d")
    assert await kept_name(sessions) == "1a2b3c4d"


@pytest.mark.parametrize(("other", "said"), [("ffffffff", "here is named ffffffff"), (None, "is not set here")])
async def test_another_secret_or_none_is_refused_with_what_to_do(
    sessions: Sessions, other: str | None, said: str
) -> None:
    await keep_or_refuse(sessions, "1a2b3c4d")
    with pytest.raises(OtherSecret, match=said) as refused:
        await keep_or_refuse(sessions, other)
    assert "JUNTO_SECRETS_KEY named 1a2b3c4d" in str(refused.value)
    assert "docs/operations.md" in str(refused.value)
    assert await kept_name(sessions) == "1a2b3c4d"


async def test_of_two_first_starts_with_different_secrets_one_is_refused(sessions: Sessions) -> None:
    names = ("1a2b3c4d", "ffffffff")
    came = await asyncio.gather(*(keep_or_refuse(sessions, name) for name in names), return_exceptions=True)
    [refused] = [one for one in came if one is not None]
    assert isinstance(refused, OtherSecret)
    assert await kept_name(sessions) == names[came.index(None)]


async def test_a_new_secret_is_taken_by_word_and_says_which_jobs_wait_for_the_old_one(
    database: Database, sessions: Sessions
) -> None:
    old, new = sealer("the old one"), sealer("the new one")
    await keep_or_refuse(sessions, old.name)
    before = Desk(database, old)
    await before.set_up()
    done = await before.claimed()
    await before.work.finish(done, ANSWERED)
    await before.submit()
    await Desk(database).submit(id="job_clear")  # in the clear: whoever comes can read it
    assert await replace(sessions, new.name) == (old.name, 1)
    await keep_or_refuse(sessions, new.name)
    with pytest.raises(OtherSecret):
        await keep_or_refuse(sessions, old.name)
    assert await replace(sessions, None) == (new.name, 1)
    await keep_or_refuse(sessions, None)


def test_a_name_says_which_secret_and_nothing_about_it() -> None:
    secret = Secret("a secret of the tests")
    assert name_of(secret) == sealer("a secret of the tests").name
    assert name_of(secret) != name_of(Secret("a secret of the tests "))
    assert len(name_of(secret)) == 8
