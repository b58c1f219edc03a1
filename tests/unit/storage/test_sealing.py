"""Bodies encrypted at rest: read under the same secret at the same place, and nowhere else."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.secret import Secret
from junto.storage.bodies import Packed, Packer, unpack
from junto.storage.engine import Database
from junto.storage.exchanges import StoredExchanges
from junto.storage.folding import answer_folder
from junto.storage.sealing import Sealer, seal_text, unseal_text, unsealed
from junto.storage.sessions import Sessions
from junto.storage.tables.exchanges import BODIES
from junto.storage.writer import ExchangeWriter

from .records import record
from .wires import LINES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

SECRET, OTHER = Secret("a secret of the tests"), Secret("another one")


def sealer_of(secret: Secret = SECRET) -> Sealer:
    return Sealer(secret, entropy=secrets.token_bytes)


@given(st.binary(max_size=3000), st.binary(max_size=3000))
def test_what_was_sealed_comes_back_as_it_was(request_: bytes, answer: bytes) -> None:
    packed = Packer().pack(request_, answer)
    sealed = sealer_of().seal(packed, "default", "req_1")
    assert unsealed(sealed, sealer_of(), "default", "req_1") == packed
    assert unpack(unsealed(sealed, sealer_of(), "default", "req_1"), len(request_)) == (request_, answer)


def test_the_same_body_never_looks_the_same() -> None:
    packed, sealer = Packed("raw", b"a canary"), sealer_of()
    seen = {sealer.seal(packed, "default", "req_1").content for _ in range(50)}
    assert len(seen) == 50
    assert not any(b"canary" in content for content in seen)


@pytest.mark.parametrize(
    "place", [("other", "req_1"), ("default", "req_2"), ("default", "req_1", "answer"), ("default",)]
)
def test_a_body_that_was_moved_cannot_be_read(place: tuple[str, ...]) -> None:
    sealed = sealer_of().seal(Packed("raw", b"a canary"), "default", "req_1")
    with pytest.raises(ValueError, match="another row"):
        unsealed(sealed, sealer_of(), *place)


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_body_of_which_anything_changed_cannot_be_read(at: int, bit: int) -> None:
    sealed = sealer_of().seal(Packed("raw", b"a canary" * 9), "default", "req_1")
    content = bytearray(sealed.content)
    content[at % len(content)] ^= 1 << bit
    with pytest.raises(ValueError, match="damaged"):
        unsealed(Packed(sealed.codec, bytes(content)), sealer_of(), "default", "req_1")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_text_comes_back_as_it_was(text: str) -> None:
    sealed = seal_text(text, sealer_of(), "default", "job_1", "webhook")
    assert unseal_text(sealed, sealer_of(), "default", "job_1", "webhook") == text
    assert sealed.startswith("text+aesgcm:") or not text


def test_a_text_from_before_there_was_a_secret_is_read_as_it_lies() -> None:
    assert seal_text("https://example.com", None, "default") == "https://example.com"
    assert unseal_text("https://example.com", sealer_of(), "default") == "https://example.com"


@pytest.mark.parametrize("damage", ["", "A", "%%", "AAAA"])
def test_a_text_that_is_damaged_moved_or_under_another_secret_is_not_read(damage: str) -> None:
    sealed = seal_text("https://example.com", sealer_of(), "default", "job_1")
    for stored, sealer, place in (
        (sealed + damage, sealer_of(), "job_2"),
        (sealed[:-4] + damage, sealer_of(), "job_1"),
        (sealed, sealer_of(OTHER), "job_1"),
        (sealed, None, "job_1"),
    ):
        with pytest.raises(ValueError, match=r"damaged|JUNTO_SECRETS_KEY"):
            unseal_text(stored, sealer, "default", place)


def test_a_codec_that_was_exchanged_is_damage() -> None:
    sealed = sealer_of().seal(Packed("raw", b"a canary"), "default", "req_1")
    with pytest.raises(ValueError, match="damaged"):
        unsealed(Packed(sealed.codec.replace("raw", "zstd"), sealed.content), sealer_of(), "default", "req_1")


def test_another_secret_and_none_say_what_is_wrong() -> None:
    sealed = sealer_of().seal(Packed("raw", b"a canary"), "default", "req_1")
    with pytest.raises(ValueError, match="another JUNTO_SECRETS_KEY"):
        unsealed(sealed, sealer_of(OTHER), "default", "req_1")
    with pytest.raises(ValueError, match="JUNTO_SECRETS_KEY is not set"):
        unsealed(sealed, None, "default", "req_1")


def test_what_was_never_sealed_is_read_as_it_lies() -> None:
    packed = Packer().pack(b"a" * 5000, b"b" * 5000)
    assert unsealed(packed, sealer_of(), "default", "req_1") is packed
    assert unsealed(packed, None, "default", "req_1") is packed


async def test_exchanges_are_stored_sealed_and_shown_open_and_older_ones_still_are(tmp_path: Path) -> None:
    async with Database(tmp_path) as database:
        sessions = Sessions(database)

        def shown_with(sealer: Sealer | None) -> StoredExchanges:
            return StoredExchanges(
                sessions, fold_answer=answer_folder({LINES.name: LINES}), waiting=lambda: (0, 0), sealer=sealer
            )

        await ExchangeWriter(sessions).store([record(1)])
        await ExchangeWriter(sessions, sealer=sealer_of()).store([record(2)])
        async with database.reader.connect() as connection:
            rows = (await connection.execute(BODIES.select().order_by(BODIES.c.id))).mappings().all()
        assert [b"messages" in row["content"] for row in rows] == [True, False]
        open_, sealed = rows[0]["id"], rows[1]["id"]
        for id in (open_, sealed):
            found = await shown_with(sealer_of()).find(id)
            assert found is not None
            assert found["request"] is not None
            assert "unreadable" not in found
        for wrong in (None, sealer_of(OTHER)):
            found = await shown_with(wrong).find(sealed)
            assert found is not None
            assert found["request"] is None
            assert "JUNTO_SECRETS_KEY" in found["unreadable"]
