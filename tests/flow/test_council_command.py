"""`junto council` as a person runs it, in a terminal and in a pipe, before a running Junto."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pytest

from tests.flow.running import ADMIN_KEY, RunningJunto
from tests.upstreams import Fail, Gate, OpenAIEmulator, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.upstreams.ask import Ask

HALL = """
description: Two who answer twice.
members:
  - {name: Ann, persona: You are careful., model: one/gpt-test}
  - {name: Bob, persona: You are bold., model: two/gpt-test}
rounds: 2
chair: {name: Judge, model: one/gpt-test}
quorum: 1
"""
ANSWER = "## Answer\n\nTea, *mostly*.\n\n\x1b[2J\x07- one\n- two\n"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*([A-Za-z])")
COLOUR = re.compile(r"\x1b\[[0-9;]*\b(3[0-7]|9[0-7])m")
PATIENCE = 30.0


@dataclass
class Hall:
    """A Junto with the council `hall`, of members at two servers."""

    junto: RunningJunto
    one: OpenAIEmulator
    two: OpenAIEmulator

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", "from junto.cli.main import run; run()", "council", *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        standing = {"JUNTO_URL": self.junto.url, "JUNTO_ADMIN_KEY": ADMIN_KEY, "TERM": "xterm-256color"}
        return {**standing, "PATH": os.environ["PATH"], **more}

    def piped(self, *arguments: str, question: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(**more),
            input=question,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def saying(name: str) -> Scripted:
    return Scripted(text=f"{name} says tea.")


def chairing(ask: Ask) -> Scripted:
    """What the first server says: as a member at first, as the chair where it is asked for an answer."""
    return Scripted(text=ANSWER) if "Disagreement" in ask.prompt else saying("Ann")


@pytest.fixture
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    folder = tmp_path_factory.mktemp("hall")
    (folder / "councils").mkdir()
    (folder / "councils" / "hall.yaml").write_text(HALL)
    with ExitStack() as stack:
        one, two = stack.enter_context(OpenAIEmulator()), stack.enter_context(OpenAIEmulator())
        one.script.always(chairing)
        two.script.always(saying("Bob"))
        backends = [
            {"name": server, "provider": "openai", "url": emulator.base_url}
            for server, emulator in (("one", one), ("two", two))
        ]
        yield Hall(stack.enter_context(RunningJunto(folder, {"backends": backends})), one, two)


class Terminal:
    """A command in a terminal of 100 by 30; `shown` is all that it wrote there so far."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._pieces: list[bytes] = []
        self.process = subprocess.Popen(
            command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        os.close(self._ours)

    @property
    def shown(self) -> str:
        return b"".join(self._pieces).decode(errors="replace")

    def wait_for(self, pattern: str) -> None:
        """Until it was written, between escape sequences or not; AssertionError when the command ends without."""
        deadline = time.monotonic() + PATIENCE
        while not re.search(pattern, words(self.shown)):
            assert self._reader.is_alive(), self.shown
            assert time.monotonic() < deadline, self.shown
            time.sleep(0.02)

    def ended(self) -> int:
        """The exit code, when everything was read."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65_536)
            except OSError as error:
                assert error.errno == errno.EIO  # noqa: PT017  how a terminal says that nobody is there any more
                return
            if not piece:
                return
            self._pieces.append(piece)


def words(shown: str) -> str:
    """What was written, without the sequences that move and colour."""
    return ESCAPES.sub("", shown)


def last_screen(shown: str) -> str:
    """What stands there at the end: a view that is drawn anew goes up over its lines before."""
    screen: list[str] = []
    row = 0
    for piece in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r?\n)", shown):
        if piece.endswith("\n"):
            row += 1
        elif piece.endswith("A") and piece.startswith("\x1b["):
            row -= int(piece[2:-1] or 1)
        elif piece == "\x1b[2K":
            screen[row:] = []
        elif not piece.startswith("\x1b["):
            screen += [""] * (row + 1 - len(screen))
            screen[row] += piece.replace("\r", "")
    return "\n".join(" ".join(line.split()) for line in screen)


def test_in_a_terminal_each_step_is_seen_and_the_answer_stands_at_the_end(hall: Hall) -> None:
    gate = Gate()
    hall.two.script.plan(Scripted(text="Bob says tea.", gate=gate, gate_after=1))
    with Terminal(hall.command("-t", "hall", "Tea?"), hall.environment()) as terminal:
        terminal.wait_for(r"Ann +gpt-test +one +said")
        terminal.wait_for(r"Bob +gpt-test +two +\S speaking")
        assert "Ann: Ann says tea." in words(terminal.shown)
        gate.open()
        assert terminal.ended() == 0
    shown = last_screen(terminal.shown)
    assert re.search(r"^council/hall · over · .* tokens · \$0$", shown, re.MULTILINE)
    assert re.search(r"^Judge \(chair\) gpt-test one said", shown, re.MULTILINE)
    assert re.search(r"^ ?Answer$", shown, re.MULTILINE)
    assert "• two" in shown
    assert "speaking" not in shown
    assert "2 of 2 members heard, quorum of 1 met" in shown
    assert "\x1b[31" not in shown


def test_what_a_model_says_does_not_drive_the_terminal(hall: Hall) -> None:
    """Of the sequences that reach it only those are there that move, colour and hide the cursor."""
    with Terminal(hall.command("-t", "hall", "Tea?"), hall.environment()) as terminal:
        assert terminal.ended() == 0
    assert "\x07" not in terminal.shown
    assert "\x1b[2J" not in terminal.shown
    assert {match[1] for match in ESCAPES.finditer(terminal.shown)} <= set("AKmhl")
    assert "\x1b" not in ESCAPES.sub("", terminal.shown)
    assert terminal.shown.count("\x1b[?25h") == terminal.shown.count("\x1b[?25l") == 1


def test_no_colours_where_none_are_wanted(hall: Hall) -> None:
    with Terminal(hall.command("-t", "hall", "Tea?"), hall.environment(NO_COLOR="1")) as terminal:
        assert terminal.ended() == 0
    assert COLOUR.search(terminal.shown) is None
    with Terminal(hall.command("-t", "hall", "Tea?"), hall.environment()) as terminal:
        assert terminal.ended() == 0
    assert COLOUR.search(terminal.shown) is not None


def test_ctrl_c_cancels_every_member_and_leaves_the_terminal_as_it_was(hall: Hall) -> None:
    gate = Gate()
    for server in (hall.one, hall.two):
        server.script.plan(Scripted(text="one two three", gate=gate, gate_after=1))
    with Terminal(hall.command("-t", "hall", "Tea?"), hall.environment()) as terminal:
        asked = [*hall.one.script.wait_arrived(within=PATIENCE), *hall.two.script.wait_arrived(within=PATIENCE)]
        terminal.wait_for(r"Bob +gpt-test +two +\S speaking")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ended() == 130
        assert all(one.wait_abandoned(PATIENCE) for one in asked)
    gate.open()
    assert terminal.shown.count("\x1b[?25h") == 1
    assert "Traceback" not in terminal.shown
    shown = last_screen(terminal.shown)
    assert re.search(r"^Bob gpt-test two stopped", shown, re.MULTILINE)
    assert shown.rstrip().endswith("· stopped")


def test_in_a_pipe_the_answer_alone_is_on_standard_output(hall: Hall) -> None:
    result = hall.piped("-t", "hall", "-", question="Tea?\n")
    assert result.returncode == 0, result.stderr
    assert result.stdout == ANSWER.replace("\x1b", "�").replace("\x07", "�")
    assert "\x1b" not in result.stderr
    said = [line.split(" said: ")[1] for line in result.stderr.splitlines() if " said: " in line]
    assert sorted(said) == ["Ann says tea.", "Ann says tea.", "Bob says tea.", "Bob says tea."]


def test_a_member_that_fails_on_the_way_is_named_at_the_end(hall: Hall) -> None:
    hall.two.script.always(Scripted(fail=Fail(status=500, message="out of memory")))
    result = hall.piped("-t", "hall", "Tea?")
    assert result.returncode == 0, result.stderr
    told = result.stderr.splitlines()
    assert any(line.startswith("Bob is missing: ") for line in told)
    assert told[-2].startswith("Degraded. ")
    assert "1 of 2 members heard, quorum of 1 met" in told[-1]


def test_the_whole_answer_as_json(hall: Hall) -> None:
    result = hall.piped("-t", "hall", "--rounds", "1", "--members", "Ann,Bob=one/gpt-test-mini", "--json", "Tea?")
    answer = json.loads(result.stdout)
    assert [len(answer["council"][part]) for part in ("rounds", "members")] == [1, 2]
    assert answer["council"]["members"][1]["model"] == "gpt-test-mini"
    assert answer["choices"][0]["message"]["content"]


def test_what_cannot_be_is_told_in_words(hall: Hall) -> None:
    unknown = hall.piped("-t", "hal", "Tea?")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "Did you mean council/hall" in unknown.stderr
    many = hall.piped("-t", "hall", "--rounds", "9", "Tea?")
    assert many.returncode == 1
    assert "rounds" in many.stderr


def test_the_list_names_members_for_the_administrator(hall: Hall) -> None:
    rows = [" ".join(line.split()) for line in hall.piped("--list").stdout.splitlines()]
    assert "hall Ann, Bob 2 1 Two who answer twice." in rows


def test_a_sitting_is_counted_under_its_template(hall: Hall) -> None:
    hall.piped("-t", "hall", "Tea?")
    [parent, *_] = [one for one in hall.junto.recorded(6) if not one["parent_id"]]
    assert parent["model"] == "council/hall"
    text = hall.junto.http.get("/metrics/prometheus").text
    assert 'junto_councils_total{degraded="false",kind="synthesis",template="hall"} 1.0' in text
    assert 'junto_council_members_missing_total{template="hall"} 0.0' in text
    assert 'junto_council_duration_seconds_count{template="hall"} 1.0' in text
    figures = hall.junto.http.get("/metrics", headers={**hall.junto.admin, "accept": "application/json"}).json()
    assert figures["councils_by_template"]["hall"]["count"] == 1
