"""A process that is killed in the middle of a book: the next one goes on, and there is one whole file for each chapter."""

from __future__ import annotations

import io
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx2
import psutil
import pytest
import soundfile  # type: ignore[import-untyped]

from tests.chaos.jobs.processes import Child, orders, until

if TYPE_CHECKING:
    from pathlib import Path

CHAPTERS = 6
SENTENCES = "It was a bright cold day in April, and the clocks were striking thirteen. Nobody looked up."
BOOK = {"chapters": [{"title": str(n), "text": f"Chapter {n}. {SENTENCES}"} for n in range(CHAPTERS)]}
SECONDS = 60


def look(url: str, path: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"{url}{path}", timeout=20, trust_env=False).raise_for_status().json()
    return found


def begun(url: str) -> str:
    made = httpx2.post(f"{url}/tts", json=BOOK, timeout=20, trust_env=False).raise_for_status()
    return str(made.json()["job_id"])


def engines_of(child: Child) -> list[psutil.Process]:
    return [each for each in psutil.Process(child.pid).children(recursive=True) if "speech" in " ".join(each.cmdline())]


def checked(folder: Path, url: str, job_id: str) -> None:
    """The job is done, by rows and files alike: one whole file for each chapter, and nothing else."""
    until(lambda: look(url, f"/jobs/{job_id}")["status"] not in {"pending", "running"}, SECONDS, every=0.05)
    view = look(url, f"/jobs/{job_id}")
    assert view["status"] == "complete", view
    assert [chapter["number"] for chapter in view["chapters"]] == list(range(1, CHAPTERS + 1))
    for chapter in view["chapters"]:
        sound = httpx2.get(f"{url}{chapter['url']}", timeout=20, trust_env=False).raise_for_status().content
        assert len(sound) == chapter["bytes"]
        samples, rate = soundfile.read(io.BytesIO(sound))
        assert len(samples) / rate == pytest.approx(chapter["audio_ms"] / 1000, abs=0.2)
        assert float((samples**2).mean()) > 1e-5
    with closing(sqlite3.connect(folder / "junto.sqlite3")) as database:
        rows = database.execute("SELECT number FROM outputs WHERE job_id = ? ORDER BY number", (job_id,)).fetchall()
        entries = database.execute("SELECT count(*) FROM ledger WHERE kind = 'job' AND id = ?", (job_id,)).fetchall()
    assert rows == [(n,) for n in range(1, CHAPTERS + 1)]
    assert entries == [(1,)]
    assert len(list((folder / "output" / job_id).iterdir())) == CHAPTERS


def test_a_book_survives_the_death_of_its_worker(tmp_path: Path) -> None:
    with Child(orders(tmp_path)) as child:
        assert child.ready().url
        job_id = begun(child.url)
        until(lambda: look(child.url, f"/jobs/{job_id}").get("progress", {}).get("done", 0) >= 2, SECONDS, every=0.01)
        done = look(child.url, f"/jobs/{job_id}")
        engines = engines_of(child)
        child.send(signal.SIGKILL)
        child.wait()
    assert done["status"] == "running"
    until(lambda: not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in engines), 20)
    with Child(orders(tmp_path)) as child:
        assert child.ready().url
        checked(tmp_path, child.url, job_id)
        assert look(child.url, f"/jobs/{job_id}")["attempts"] >= 2


@pytest.mark.parametrize("point", ["before finish", "after finish"])
def test_a_death_around_the_jobs_end_makes_nothing_twice(tmp_path: Path, point: str) -> None:
    with Child(orders(tmp_path, die_at=point)) as child:
        assert child.ready().url
        job_id = begun(child.url)
        assert child.wait() == 137
        made = {path: path.stat().st_mtime_ns for path in (tmp_path / "output").rglob("*.mp3")}
    assert len(made) == CHAPTERS
    with Child(orders(tmp_path)) as child:
        assert child.ready().url
        checked(tmp_path, child.url, job_id)
    assert {path: path.stat().st_mtime_ns for path in made} == made


def test_an_engine_that_is_killed_costs_one_attempt_and_is_started_again(tmp_path: Path) -> None:
    with Child(orders(tmp_path)) as child:
        assert child.ready().url
        job_id = begun(child.url)
        until(lambda: look(child.url, f"/jobs/{job_id}").get("progress", {}).get("done", 0) >= 1, SECONDS, every=0.01)
        for engine in engines_of(child):
            engine.kill()
        checked(tmp_path, child.url, job_id)
