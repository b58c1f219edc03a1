"""`junto datasets export`: what is asked, what is written, and what is left when it breaks."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.unit.cli.running import FakeJunto, nobody, refused, run

ROWS = b'{"messages":[]}\n{"messages":[]}\n'


class Broken(httpx2.SyncByteStream):
    """One row, and then no more."""

    def __iter__(self) -> Iterator[bytes]:
        yield ROWS[:16]
        raise httpx2.RemoteProtocolError("peer closed connection without sending complete message body")


def sending(content: bytes | httpx2.SyncByteStream = ROWS) -> FakeJunto:
    def answer(_: httpx2.Request) -> httpx2.Response:
        if isinstance(content, bytes):
            return httpx2.Response(200, content=content)
        return httpx2.Response(200, stream=content)

    return FakeJunto({"/datasets/sft": answer, "/datasets/preferences": answer})


def test_rows_go_to_standard_output_and_their_number_to_standard_error() -> None:
    result = run(sending(), "datasets", "export", "sft")
    assert (result.exit_code, result.stdout_bytes, result.stderr) == (0, ROWS, "2 rows.\n")


def test_nothing_is_asked_beyond_what_is_given() -> None:
    fake = sending()
    run(fake, "datasets", "export", "preferences")
    assert (fake.asked[0].url.path, fake.asked[0].url.query) == ("/datasets/preferences", b"")


def test_every_filter_goes_along() -> None:
    fake = sending()
    options = ["--task", "mail", "--min-score", "4.5", "--via", "judge", "--days", "7", "--sensitivity", "public"]
    run(fake, "datasets", "export", "sft", *options, "--tenant", "t1", "-n", "9", "--include-confidential")
    assert dict(fake.asked[0].url.params) == {
        "task_type": "mail",
        "min_score": "4.5",
        "via": "judge",
        "days": "7",
        "sensitivity": "public",
        "tenant": "t1",
        "limit": "9",
        "include_confidential": "true",
    }


def test_a_file_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "train.jsonl"
    result = run(sending(), "datasets", "export", "sft", "--out", str(out))
    assert (result.exit_code, result.stdout, out.read_bytes()) == (0, "", ROWS)
    assert [one.name for one in tmp_path.iterdir()] == ["train.jsonl"]


@pytest.mark.parametrize("before", [b"mine", None])
def test_of_a_broken_connection_nothing_is_left(tmp_path: Path, before: bytes | None) -> None:
    out = tmp_path / "train.jsonl"
    if before is not None:
        out.write_bytes(before)
    result = run(sending(Broken()), "datasets", "export", "sft", "--out", str(out), "--force")
    assert result.exit_code == 1
    assert "broke: peer closed connection" in result.stderr
    assert [one.read_bytes() for one in tmp_path.iterdir()] == ([] if before is None else [before])


def test_a_file_that_is_there_is_written_over_only_when_told(tmp_path: Path) -> None:
    out = tmp_path / "train.jsonl"
    out.write_bytes(b"mine")
    fake = sending()
    refusal = run(fake, "datasets", "export", "sft", "--out", str(out))
    assert (refusal.exit_code, fake.asked, out.read_bytes()) == (1, [], b"mine")
    assert run(fake, "datasets", "export", "sft", "--out", str(out), "--force").exit_code == 0
    assert out.read_bytes() == ROWS


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    result = run(sending(), "datasets", "export", "sft", "--out", str(tmp_path / "no" / "x.jsonl"))
    assert result.exit_code == 1
    assert "No such file or directory" in result.stderr


def test_what_junto_refuses_is_told_in_its_words() -> None:
    fake = FakeJunto({"/datasets/sft": refused(403, "sensitivity_not_servable", "Confidential content leaves not.")})
    result = run(fake, "datasets", "export", "sft", "--include-confidential")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Confidential content leaves not.\n"


def test_no_junto() -> None:
    assert "start it with `junto serve`" in run(nobody, "datasets", "export", "sft").stderr


def test_another_shape_is_none() -> None:
    assert run(sending(), "datasets", "export", "csv").exit_code == 2
