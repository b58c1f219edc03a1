"""The admin key: given, kept as a digest, or made; and a digest file that is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.admin_key import admin_key
from junto.core.document import ConfigErrors
from junto.identity.keys import digest

if TYPE_CHECKING:
    from pathlib import Path


def test_a_key_that_was_shown_is_the_key_from_then_on(tmp_path: Path) -> None:
    first = admin_key(tmp_path, None)
    assert first.new is not None
    first.keep(tmp_path)
    again = admin_key(tmp_path, None)
    assert (again.new, again.digest) == (None, digest(first.new))
    assert admin_key(tmp_path, "a key of my own").digest == digest("a key of my own")


@pytest.mark.parametrize("content", [b"", b"\n", b"ab" * 31, b"ab" * 33, b"zz" * 32, b"\xff" * 64, b"ab" * 32 + b" x"])
def test_a_file_that_is_no_digest_is_refused_with_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "admin-key.sha256").write_bytes(content)
    with pytest.raises(ConfigErrors, match="Remove it"):
        admin_key(tmp_path, None)
    assert admin_key(tmp_path, "given").digest == digest("given")
