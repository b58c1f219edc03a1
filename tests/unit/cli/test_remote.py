"""What commands say when Junto cannot be asked."""

import httpx2
import pytest

from tests.unit.cli.running import FakeJunto, nobody, refused, run, said


def test_no_junto() -> None:
    """Nobody at the address: how to start one."""
    result = run(nobody, "models")
    assert result.exit_code == 1
    assert result.stderr == "Junto is not running at http://127.0.0.1:11430: start it with `junto serve`.\n"


def test_url_from_the_environment() -> None:
    """JUNTO_URL names where Junto is, with or without a slash at its end."""
    fake = FakeJunto({"/v1/models": said({"data": []})})
    assert run(fake, "models", env={"JUNTO_URL": "http://there:1/"}).exit_code == 0
    assert str(fake.asked[0].url) == "http://there:1/v1/models"


@pytest.mark.parametrize("url", ["ftp://there", "there:1", "http://", "nonsense"])
def test_no_address(url: str) -> None:
    """A URL that is none is said to be none."""
    result = run(FakeJunto({}), "models", "--url", url)
    assert result.exit_code == 1
    assert "is no address" in result.stderr


@pytest.mark.parametrize(
    "answer",
    [httpx2.Response(200, text="<html>"), httpx2.Response(404, text="nope"), said({"detail": "x"}, 500), said([], 500)],
)
def test_a_stranger(answer: httpx2.Response) -> None:
    """Something that is not Junto is told from Junto."""
    result = run(FakeJunto({"/v1/models": answer}), "models")
    assert result.exit_code == 1
    assert "is not Junto" in result.stderr


@pytest.mark.parametrize(("status", "code"), [(401, "invalid_api_key"), (403, "forbidden")])
def test_key_missing_or_wrong(status: int, code: str) -> None:
    """Junto's own words, and how to give the key."""
    result = run(FakeJunto({"/admin/responses": refused(status, code, "No key.")}), "responses")
    assert result.exit_code == 1
    assert result.stderr.startswith("No key.\n  Give the key with --key")


def test_a_refusal_that_is_not_about_keys() -> None:
    """The floor's 403 comes with its reasons and no word about keys."""
    answer = refused(403, "sensitivity_not_servable", "May not leave.", ("x/y: cloud",))
    result = run(FakeJunto({"/v1/chat/completions": answer}), "chat", "hi", "-m", "x")
    assert result.stderr == "May not leave.\n  x/y: cloud\n"


def test_key_from_the_environment() -> None:
    """JUNTO_ADMIN_KEY is sent as a bearer token; --key comes before it."""
    fake = FakeJunto({"/admin/responses/stats": said({"exchanges": 1})})
    run(fake, "responses", "stats", env={"JUNTO_ADMIN_KEY": "one"})
    run(fake, "responses", "stats", "--key", "two", env={"JUNTO_ADMIN_KEY": "one"})
    assert [request.headers["authorization"] for request in fake.asked] == ["Bearer one", "Bearer two"]


def test_no_key_no_header() -> None:
    """Without a key none is sent."""
    fake = FakeJunto({"/v1/models": said({"data": []})})
    run(fake, "models")
    assert "authorization" not in fake.asked[0].headers


def test_escape_sequences_of_a_server_do_not_reach_the_terminal() -> None:
    """An error text cannot move the cursor or set the clipboard."""
    result = run(FakeJunto({"/v1/models": refused(500, "x", "a\x1b]52;c;eA==\x07b")}), "models")
    assert "\x1b" not in result.stderr
    assert "\x07" not in result.stderr
