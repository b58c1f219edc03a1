"""docs/reliability.md: what is promised, what tries it, and what was measured belong together."""

from __future__ import annotations

import re
from pathlib import Path

from tests.chaos.report import DOCUMENT, Row, cells, keep

TEXT = DOCUMENT.read_text("utf-8")
ROW = Row(
    scenario="9. told to stop", attempted="20", lost=0, doubled=0, seconds=61.4, also="all well", day="2026-11-21"
)


def scenarios() -> dict[int, str]:
    """The numbered list, with the file that each item names."""
    section = TEXT.split("## Scenarios")[1].split("## Measured")[0]
    return {
        int(number): text
        for number, text in re.findall(r"^(\d)\. (.*?)(?=^\d\. |\Z)", section, re.MULTILINE | re.DOTALL)
    }


def measured() -> list[list[str]]:
    """The rows of the table."""
    table = TEXT.split("<!-- measured: begin -->")[1].split("<!-- measured: end -->")[0]
    return [cells(line) for line in table.strip().splitlines()[2:]]


def test_every_promise_is_tried_by_a_scenario_that_there_is() -> None:
    section = TEXT.split("## Promises")[1].split("## Scenarios")[0]
    tried = {
        int(number)
        for numbers in re.findall(r"\| ([\d, ]+) \|$", section, re.MULTILINE)
        for number in numbers.split(", ")
    }
    assert tried == set(scenarios()) == set(range(1, 10))


def test_every_scenario_was_measured_and_lost_and_doubled_nothing() -> None:
    assert {int(row[0][0]) for row in measured()} == set(scenarios())
    assert all(set(row[2:4]) <= {"0", "-"} for row in measured())


def test_stale_writes_were_refused_where_workers_were_frozen() -> None:
    (frozen,) = (row for row in measured() if row[0].startswith("3."))
    assert int(frozen[4].replace(",", "")) > 0


def test_a_run_replaces_its_own_row_and_leaves_the_others(tmp_path: Path) -> None:
    document = tmp_path / "reliability.md"
    document.write_text(
        "Before.\n<!-- measured: begin -->\n| scenario |\n| --- |\n| 4. other | kept |\n| 9. told to stop | what was before |\n"
        "<!-- measured: end -->\nAfter.\n"
    )
    keep([ROW], document)
    text = document.read_text()
    assert text.startswith("Before.\n")
    assert text.endswith("\nAfter.\n")
    assert "| 4. other | kept |\n| 9. told to stop | 20 | 0 | 0 | - | - | 61 s | all well | 2026-11-21 |\n" in text
    assert "what was before" not in text
