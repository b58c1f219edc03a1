"""The web chat over real sockets: who gets in, what is said and remembered, and that no break of a connection loses or doubles any of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.flow.channels.lobby import VISITORS, Lobby, Page
from tests.flow.raw_caller import RawCaller
from tests.upstreams import Fail, Gate, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DESK = "/chat/front-desk"
LONG = "This is the first sentence. And this is the second one, which is longer. " * 3


@pytest.fixture
def lobby(tmp_path: Path, fresh_database: dict[str, str]) -> Iterator[Lobby]:
    with Lobby(tmp_path, fresh_database) as lobby:
        lobby.hire()
        yield lobby


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lobby]:
    """One for what leaves nothing behind."""
    with Lobby(tmp_path_factory.mktemp("hall"), {}) as hall:
        hall.hire()
        hall.hire("closed", channels={"web": {"enabled": True}})
        yield hall


@pytest.fixture
def cookie(hall: Lobby) -> dict[str, str]:
    """The session of a visitor whom nobody has seen yet."""
    return hall.cookie(hall.link())


def closed(page: Page) -> int:
    """The code with which the other side closes."""
    with pytest.raises(ConnectionClosed) as ended:
        page.until(lambda _: False)
    assert ended.value.rcvd is not None
    return ended.value.rcvd.code


# ---- A conversation ----


def test_a_conversation_of_three_turns_is_remembered(lobby: Lobby) -> None:
    lobby.model.script.plan(Scripted(text="Hello **Ada**."), Scripted(text="You are Ada."), Scripted(text="Twice."))
    with lobby.page(lobby.cookie(lobby.link())) as page:
        assert page.messages == []
        assert page.ask("m1", "I am Ada.") == "Hello **Ada**."
        assert page.ask("m2", "Who am I?") == "You are Ada."
        assert page.ask("m3", "How often did you say that?") == "Twice."
        kinds = [event["type"] for event in page.events if event.get("id") == "m1"]
    assert kinds[:2] == ["accepted", "typing"]
    assert kinds[-1] == "reply"
    assert lobby.questions()[-1] == [
        "I am Ada.",
        "Hello **Ada**.",
        "Who am I?",
        "You are Ada.",
        "How often did you say that?",
    ]


def test_an_answer_streams_while_it_is_made(hall: Lobby, cookie: dict[str, str]) -> None:
    gate = Gate()
    hall.model.script.plan(Scripted(pieces=("One, ", "two, ", "three."), gate=gate, gate_after=2))
    with hall.page(cookie) as page:
        page.say("m1", "Count.")
        page.until(lambda _: page.text.get("m1") == "One, two, ")
        gate.open()
        assert page.reply("m1") == "One, two, three."


def test_a_reload_shows_what_was_said(hall: Lobby, cookie: dict[str, str]) -> None:
    hall.model.script.plan(Scripted(text="Yes."))
    with hall.page(cookie) as page:
        page.ask("m1", "Open on Monday?")
    with hall.page(cookie) as page:
        told = [(one["id"], one["role"], one["text"]) for one in page.messages]
    assert told == [("m1", "user", "Open on Monday?"), ("m1", "assistant", "Yes.")]


def test_two_visitors_are_two_conversations(hall: Lobby) -> None:
    hall.model.script.plan(Scripted(text="Noted."), Scripted(text="What code?"))
    with hall.page(hall.cookie(hall.link())) as first, hall.page(hall.cookie(hall.link())) as second:
        first.ask("m1", "The code is 1234.")
        second.ask("m1", "What is the code?")
    assert "1234" not in "".join(hall.questions()[-1])


def test_two_pages_of_one_visitor_see_the_same(hall: Lobby, cookie: dict[str, str]) -> None:
    hall.model.script.plan(Scripted(text="Here."))
    with hall.page(cookie) as desk, hall.page(cookie) as phone:
        desk.say("m1", "Where are you?")
        assert phone.until(lambda event: event["type"] == "accepted")["text"] == "Where are you?"
        assert phone.reply("m1") == desk.reply("m1") == "Here."


def test_a_message_that_comes_again_is_answered_once(hall: Lobby, cookie: dict[str, str]) -> None:
    before = len(hall.questions())
    hall.model.script.plan(Scripted(text="Once.", delay=0.1))
    with hall.page(cookie) as page:
        for _ in range(3):
            page.say("m1", "Hello?")
        assert page.reply("m1") == "Once."
        assert page.ask("m1", "Hello?") == "Once."
    with hall.page(cookie) as page:
        assert len(page.messages) == 2
    assert len(hall.questions()) == before + 1


def test_when_every_model_fails_a_polite_sentence_is_said(lobby: Lobby) -> None:
    lobby.model.script.always(Scripted(fail=Fail(status=400)))
    with lobby.page(lobby.cookie(lobby.link())) as page:
        page.say("m1", "Hello?")
        event = page.until(lambda event: event["type"] == "reply")
    assert event["fallback"] is True
    assert event["text"]


# ---- Breaks ----


def test_after_a_drop_in_the_middle_of_an_answer_nothing_is_lost_or_doubled(
    hall: Lobby, cookie: dict[str, str]
) -> None:
    words = tuple(f"{number} " for number in range(40))
    gate = Gate()
    hall.model.script.plan(Scripted(pieces=words, gate=gate, gate_after=10))
    page = hall.page(cookie)
    page.begin()
    page.say("m1", "Count.")
    page.until(lambda _: page.text.get("m1", "").endswith("9 "))
    page.socket.socket.close()  # as a phone in a tunnel
    gate.open()
    with Page(hall.socket(DESK, origin=hall.junto.url, additional_headers=cookie), after=page) as again:
        assert again.events[0]["resumed"] is True
        assert again.messages == []
        assert again.reply("m1") == "".join(words).strip()
        assert [event["type"] for event in again.events].count("reply") == 1


def test_a_page_that_missed_the_rest_gets_all_that_came_meanwhile(hall: Lobby, cookie: dict[str, str]) -> None:
    hall.model.script.plan(Scripted(text="Here you are."))
    first, other = hall.page(cookie), hall.page(cookie)
    for page in (first, other):
        page.begin()
    first.say("m1", "Where?")
    first.until(lambda event: event["type"] == "accepted")
    first.socket.socket.close()
    other.reply("m1")
    other.socket.close()
    with Page(hall.socket(DESK, origin=hall.junto.url, additional_headers=cookie), after=first) as again:
        assert again.reply("m1") == "Here you are."


def test_what_was_accepted_before_the_process_ended_is_answered_and_shown_by_the_next(lobby: Lobby) -> None:
    gate = Gate()
    lobby.model.script.plan(Scripted(text="Never heard.", gate=gate))
    lobby.model.script.always(Scripted(text="Here I am."))
    cookie = lobby.cookie(lobby.link())
    page = lobby.page(cookie)
    page.begin()
    page.say("m1", "Are you there?")
    page.until(lambda event: event["type"] == "typing")
    lobby.model.script.wait_arrived(1)
    lobby.restart()
    assert closed(page) == 1001
    with Page(lobby.socket(DESK, origin=lobby.junto.url, additional_headers=cookie), after=page) as again:
        assert again.events[0]["resumed"] is False
        assert again.messages[0]["text"] == "Are you there?"
        if len(again.messages) < 2:
            again.reply("m1")
    with lobby.page(cookie) as last:
        assert [one["text"] for one in last.messages] == ["Are you there?", "Here I am."]
    gate.open()


def test_a_new_page_in_the_middle_of_an_answer_has_its_beginning_too(hall: Lobby, cookie: dict[str, str]) -> None:
    gate = Gate()
    hall.model.script.plan(Scripted(pieces=("Once ", "upon ", "a time."), gate=gate, gate_after=2))
    with hall.page(cookie) as page:
        page.say("m1", "Tell me.")
        page.until(lambda _: page.text.get("m1") == "Once upon ")
        with hall.page(cookie) as other:
            assert [(one["text"], one.get("partial")) for one in other.messages] == [
                ("Tell me.", None),
                ("Once upon ", True),
            ]
            gate.open()
            assert other.reply("m1") == "Once upon a time."


# ---- Who gets in ----


def test_a_link_becomes_a_session_and_leaves_the_address(hall: Lobby) -> None:
    response = hall.junto.http.get(hall.link())
    hall.junto.http.cookies.clear()
    assert (response.status_code, response.headers["location"]) == (303, DESK)
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    flags = {part.strip().lower() for part in response.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", f"path={DESK}"} <= flags
    assert "secure" not in flags


def test_over_https_the_session_is_sent_over_https_only(hall: Lobby) -> None:
    response = hall.junto.http.get(hall.link(), headers={"x-forwarded-proto": "https"})
    hall.junto.http.cookies.clear()
    assert "secure" in response.headers["set-cookie"].lower()


def test_a_program_may_open_a_socket_by_its_link(hall: Lobby) -> None:
    hall.model.script.plan(Scripted(text="Hello, program."))
    with Page(hall.socket(hall.link(sender="robot"))) as page:
        assert page.ask("m1", "Hello.") == "Hello, program."


def test_without_a_session_nobody_gets_in(hall: Lobby) -> None:
    for name in ("front-desk", "closed", "nobody-of-that-name"):
        assert hall.refused(f"/chat/{name}", origin=hall.junto.url) == (401, b"")


@pytest.mark.parametrize("value", ["", "x", "a.b", "W10.AAAA", "junto"])
def test_a_forged_session_is_none(hall: Lobby, value: str) -> None:
    forged = {"cookie": f"junto_chat={value}"}
    assert hall.refused(DESK, origin=hall.junto.url, additional_headers=forged) == (401, b"")
    assert hall.refused(f"{DESK}?t={value}") == (401, b"")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://127.0.0.1:1", "null", "http://localhost.evil.example", "file://", "x"]
)
def test_pages_of_another_origin_are_refused_whatever_they_know(
    hall: Lobby, cookie: dict[str, str], origin: str
) -> None:
    assert hall.refused(DESK, origin=origin, additional_headers=cookie) == (403, b"")
    assert hall.refused(hall.link(), origin=origin) == (403, b"")


def test_a_session_without_an_origin_is_refused(hall: Lobby, cookie: dict[str, str]) -> None:
    assert hall.refused(DESK, additional_headers=cookie) == (403, b"")


@pytest.mark.parametrize("others", ['seen={"a": 1, "b": [2]}', "x y=z", "=", "junto_chat=e30.AAAA", "a,b=\xe4"])
def test_cookies_of_others_on_the_same_host_keep_nobody_out(hall: Lobby, cookie: dict[str, str], others: str) -> None:
    hall.model.script.plan(Scripted(text="Still in."))
    with hall.page({"cookie": f"{others}; {cookie['cookie']}"}) as page:
        assert page.ask("m1", "Hello?") == "Still in."


def test_a_link_to_one_agent_opens_no_other(lobby: Lobby) -> None:
    lobby.hire("back-office")
    cookie = lobby.cookie(lobby.link())
    assert lobby.refused("/chat/back-office", origin=lobby.junto.url, additional_headers=cookie) == (401, b"")


def test_a_link_whose_time_is_over_opens_nothing(hall: Lobby) -> None:
    link = hall.link(ttl_s=1)
    page = Page(hall.socket(link))
    page.begin()
    time.sleep(1.1)
    assert hall.refused(link) == (401, b"")
    assert "set-cookie" not in hall.junto.http.get(link).headers
    page.say("m1", "Am I still here?")
    assert closed(page) == 4401


def test_a_link_is_revoked_by_turning_visitors_off(lobby: Lobby) -> None:
    link = lobby.link()
    page = lobby.page(lobby.cookie(link))
    page.begin()
    lobby.change(channels={"web": {"enabled": True}})
    assert lobby.refused(link) == (404, b"")
    page.say("m1", "Am I still here?")
    assert closed(page) == 4404
    lobby.change(channels=VISITORS)
    with Page(lobby.socket(link)) as again:
        assert again.messages == []


def test_a_deleted_agents_links_are_not_those_of_the_next_one(lobby: Lobby) -> None:
    link = lobby.link()
    lobby.junto.http.delete("/agents/front-desk", headers=lobby.junto.admin).raise_for_status()
    assert lobby.refused(link) == (404, b"")
    lobby.hire()
    assert lobby.refused(link) == (404, b"")


def test_a_clients_links_are_its_own_tenants_and_end_with_the_client(lobby: Lobby) -> None:
    http, admin = lobby.junto.http, lobby.junto.admin
    http.post("/tenants", json={"name": "acme"}, headers=admin).raise_for_status()
    ours = http.post("/clients", json={"name": "shop"}, headers=admin).json()
    theirs = http.post("/clients", json={"name": "acme-shop", "tenant": "acme"}, headers=admin).json()

    def invite(client: dict[str, Any], **body: Any) -> Any:
        key = {"authorization": f"Bearer {client['api_key']}"}
        return http.post("/agents/front-desk/visitor-links", json=body, headers=key)

    assert invite(theirs).status_code == 404
    assert invite(theirs, tenant="default").status_code == 403
    link = invite(ours).json()["path"]
    lobby.model.script.plan(Scripted(text="Welcome."))
    with Page(lobby.socket(link)) as page:
        assert page.ask("m1", "Hello.") == "Welcome."
    lobby.junto.recorded(client="shop")
    assert http.get(f"/clients/{ours['id']}/usage", headers=admin).json()["totals"]["jobs"] == 1
    http.patch(f"/clients/{ours['id']}", json={"enabled": False}, headers=admin).raise_for_status()
    assert lobby.refused(link) == (404, b"")


def test_an_agent_of_another_tenant_is_another_agent(lobby: Lobby) -> None:
    """Two agents of one name: each link leads to its own tenant's, and sees nothing of the other's."""
    http, admin = lobby.junto.http, lobby.junto.admin
    http.post("/tenants", json={"name": "acme"}, headers=admin).raise_for_status()
    lobby.hire(tenant="acme", display_name="Acme's")
    lobby.model.script.always(Scripted(text="Noted."))
    with Page(lobby.socket(lobby.link())) as ours, Page(lobby.socket(lobby.link(tenant="acme"))) as theirs:
        assert (ours.events[0]["agent"]["title"], theirs.events[0]["agent"]["title"]) == ("front-desk", "Acme's")
        ours.ask("m1", "The code is 1234.")
        theirs.ask("m1", "What is the code?")
    assert "1234" not in "".join(lobby.questions()[-1])
    listed = http.get("/agents/front-desk/conversations", params={"tenant": "acme"}, headers=admin).json()
    assert len(listed["conversations"]) == 1


def test_no_links_are_made_where_no_visitors_are_let_in(hall: Lobby) -> None:
    for name, status in (("closed", 409), ("nobody", 404)):
        response = hall.junto.http.post(f"/agents/{name}/visitor-links", headers=hall.junto.admin)
        assert response.status_code == status
    for wrong in ({"ttl_s": 0}, {"ttl_s": 2_592_001}, {"sender": "a\nb"}, {"sender": "x" * 101}, {"visitor": "me"}):
        response = hall.junto.http.post("/agents/front-desk/visitor-links", json=wrong, headers=hall.junto.admin)
        assert response.status_code == 422, wrong


def test_the_page_is_the_same_whether_there_is_an_agent_or_not(hall: Lobby) -> None:
    pages = [hall.junto.http.get(f"/chat/{name}") for name in ("front-desk", "closed", "nobody")]
    assert {page.status_code for page in pages} == {200}
    assert len({page.content for page in pages}) == 1
    assert "default-src 'none'" in pages[0].headers["content-security-policy"]
    assert hall.junto.http.get("/chat/Not-A-Name").status_code == 404
    with_session = hall.junto.http.post("/chat/nobody/session")
    assert with_session.status_code == 401


def test_while_no_key_is_needed_whoever_is_here_gets_a_session(tmp_path: Path) -> None:
    with Lobby(tmp_path, {}, auth="open") as lobby:
        lobby.hire()
        lobby.hire("closed", channels={"web": {"enabled": True}})
        lobby.model.script.plan(Scripted(text="Come in."))
        response = lobby.junto.http.post(f"{DESK}/session")
        assert response.json()["agent"] == {"name": "front-desk", "title": "front-desk", "role": ""}
        lobby.junto.http.cookies.clear()
        with lobby.page({"cookie": response.headers["set-cookie"].partition(";")[0]}) as page:
            assert page.ask("m1", "May I?") == "Come in."
        for name in ("closed", "nobody"):
            assert lobby.junto.http.post(f"/chat/{name}/session").status_code == 404
        rebound = {"host": "evil.example", "origin": "http://evil.example"}
        assert lobby.junto.http.post(f"{DESK}/session", headers=rebound).status_code == 403


# ---- Bounds ----


def test_an_oversized_frame_closes_the_socket(hall: Lobby, cookie: dict[str, str]) -> None:
    page = hall.page(cookie)
    page.begin()
    page.say("m1", "x" * 33_000)
    assert closed(page) == 1009


@pytest.mark.parametrize(("frame", "code"), [("nonsense", 1008), ('{"type": "shell"}', 1008), (b"\x00\x01", 1003)])
def test_what_no_page_of_ours_sends_closes_the_socket(
    hall: Lobby, cookie: dict[str, str], frame: str | bytes, code: int
) -> None:
    page = hall.page(cookie)
    page.begin()
    page.socket.send(frame)
    assert closed(page) == code


def test_a_flood_of_frames_closes_the_socket(hall: Lobby, cookie: dict[str, str]) -> None:
    page = hall.page(cookie)
    page.begin()
    try:
        for _ in range(200):
            page.send(type="resume")
    except ConnectionClosed:
        pass
    assert closed(page) == 1008


def test_more_messages_than_anybody_reads_are_put_off_and_none_is_lost(hall: Lobby, cookie: dict[str, str]) -> None:
    gate = Gate()
    hall.model.script.always(Scripted(text="Slowly.", gate=gate))
    with hall.page(cookie) as page:
        for number in range(8):
            page.say(f"m{number}", "Hello?")
        refused = page.until(lambda event: event["type"] == "error")
        assert refused["retry_after"] > 0
        gate.open()
        for number in range(4):
            assert page.reply(f"m{number}") == "Slowly."
    hall.model.script.always(Scripted(text="Yes."))


def test_a_message_without_words_is_refused_and_the_socket_stays(hall: Lobby, cookie: dict[str, str]) -> None:
    hall.model.script.plan(Scripted(text="Still here."))
    with hall.page(cookie) as page:
        page.say("m1", "   ")
        assert page.until(lambda event: event["type"] == "error")["id"] == "m1"
        assert page.ask("m2", "Hello?") == "Still here."


def test_a_visitor_has_a_few_sockets_and_no_more(hall: Lobby, cookie: dict[str, str]) -> None:
    pages = [hall.page(cookie) for _ in range(6)]
    for page in pages:
        page.begin()
    status, _ = hall.refused(DESK, origin=hall.junto.url, additional_headers=cookie)
    assert status == 429
    for page in pages:
        page.socket.close()


def test_only_a_chat_may_become_a_socket(hall: Lobby, cookie: dict[str, str]) -> None:
    for path in ("/", "/v1/models", "/chat", "/chat/a/session", "/jobs/x/events"):
        status, _ = hall.refused(path, origin=hall.junto.url, additional_headers=cookie)
        assert status != 101
    assert hall.junto.http.get(DESK).status_code == 200


def test_a_wish_for_a_socket_behind_an_unanswered_request_is_served_as_if_it_had_none(hall: Lobby) -> None:
    """What was sent behind it is a request of its own: nothing is taken for frames."""
    key = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    wish = b"GET /chat/front-desk HTTP/1.1\r\nHost: localhost\r\n" + key + b"Sec-WebSocket-Version: 13\r\n\r\n"
    live = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with RawCaller(hall.junto.port) as caller:
        caller.send(live + wish + live)
        assert [caller.answer()[0] for _ in range(3)] == [200, 200, 200]
    with RawCaller(hall.junto.port) as caller:
        caller.send(wish + live)
        assert [caller.answer()[0] for _ in range(2)] == [200, 200]
    with RawCaller(hall.junto.port) as caller:
        caller.send(wish)
        assert caller.read_to_end().startswith(b"HTTP/1.1 401 ")


def test_neither_the_words_nor_the_tokens_are_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], cookie: dict[str, str]
) -> None:
    with Lobby(tmp_path, {}) as lobby:
        lobby.junto.configure({"auth": {"mode": "keys"}, "logging": {"level": "debug"}})
        lobby.hire()
        lobby.model.script.always(Scripted(text="the words of the model"))
        link = lobby.link()
        with Page(lobby.socket(link)) as page:
            page.ask("m1", "the words of a person")
    out = "".join(capfd.readouterr())
    for hidden in ("the words of", link.partition("?t=")[2]):
        assert hidden not in out


def test_frames_are_plain_json(hall: Lobby, cookie: dict[str, str]) -> None:
    socket = hall.socket(DESK, origin=hall.junto.url, additional_headers=cookie)
    socket.send(json.dumps({"type": "resume"}))
    frame = socket.recv(timeout=10)
    assert isinstance(frame, str)
    assert set(json.loads(frame)) == {"event", "type", "log", "agent", "resumed", "messages"}
    socket.close()
