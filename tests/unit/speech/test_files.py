"""Files are there whole or not at all, and what nobody owns is swept."""

from __future__ import annotations

import os
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING

import pytest

from junto.core.errors import Overloaded
from junto.ports.outputs import Output
from junto.speech.files import OutputFiles

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

pytestmark = pytest.mark.anyio


def an_output(job: str = "job_1", number: int = 0, fence: int = 1) -> Output:
    return Output(
        tenant_id="t",
        id=f"{job}.mp3",
        job_id=job,
        client_id="c",
        number=number,
        fence=fence,
        voice="v",
        content_type="audio/mpeg",
        characters=1,
        bytes=1,
        audio_ms=1,
    )


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_a_file_has_its_name_when_it_is_whole_and_its_front_when_that_is_known(tmp_path: Path) -> None:
    files, output = OutputFiles(tmp_path, make_suffix=partial(token_hex, 4)), an_output()
    draft = files.draft(output)
    await draft.write(b"????")
    await draft.write(b"sound")
    assert not files.path(output).exists()
    await draft.finish(b"RIFF")
    await draft.discard()
    assert files.path(output).read_bytes() == b"RIFFsound"
    assert draft.size == 9
    assert names(tmp_path) == {"job_1/0000.1.mp3"}


async def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    files = OutputFiles(tmp_path, make_suffix=partial(token_hex, 4))
    draft = files.draft(an_output())
    await draft.write(b"half")
    assert len(names(tmp_path)) == 1
    await draft.discard()
    await draft.discard()
    assert names(tmp_path) == set()


async def test_two_claims_of_one_job_do_not_meet(tmp_path: Path) -> None:
    files = OutputFiles(tmp_path, make_suffix=partial(token_hex, 4))
    for fence, sound in ((1, b"old"), (2, b"new")):
        draft = files.draft(an_output(fence=fence))
        await draft.write(sound)
        await draft.finish(b"")
    assert files.path(an_output(fence=1)).read_bytes() == b"old"
    await files.tidy("job_1", {"0000.2.mp3"})
    assert names(tmp_path) == {"job_1/0000.2.mp3"}
    await files.tidy("job_of_nobody", set())


async def test_a_folder_that_cannot_be_written_to_is_told_as_overloaded(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    draft = OutputFiles(tmp_path / "taken", make_suffix=partial(token_hex, 4)).draft(an_output())
    with pytest.raises(Overloaded):
        await draft.write(b"x")
    await draft.discard()


async def test_a_sweep_takes_what_is_old_and_has_no_row(tmp_path: Path) -> None:
    files = OutputFiles(tmp_path, make_suffix=partial(token_hex, 4))
    for job, number in (("job_1", 1), ("job_1", 2), ("job_2", 0), ("job_3", 0)):
        draft = files.draft(an_output(job, number))
        await draft.write(b"x")
        await draft.finish(b"")
        if job != "job_3":
            os.utime(files.path(an_output(job, number)), (1000, 1000))
    (tmp_path / "mine.txt").write_text("not of Junto's making")
    asked: list[set[str]] = []

    async def known(jobs: Collection[str]) -> Collection[tuple[str, str]]:
        asked.append(set(jobs))
        return {("job_1", "0002.1.mp3")}

    assert await files.sweep(known, before=2000) == 2
    assert asked == [{"job_1", "job_2"}]
    assert names(tmp_path) == {"job_1/0002.1.mp3", "job_3/0000.1.mp3", "mine.txt"}
    assert not (tmp_path / "job_2").exists()
    assert await OutputFiles(tmp_path / "nowhere", make_suffix=partial(token_hex, 4)).sweep(known, before=2000) == 0


async def test_what_is_left_of_a_disk_is_not_for_audio_files(tmp_path: Path) -> None:
    """The database is often on the same disk, and a book can be larger than any of them."""
    files = OutputFiles(tmp_path, make_suffix=partial(token_hex, 4), reserve=1 << 62)
    draft = files.draft(an_output())
    with pytest.raises(Overloaded):
        await draft.write(b"sound")
    await draft.discard()
    assert names(tmp_path) == set()
