"""A web chat over two nodes: the answer is made by a worker, a page on either node sees it grow, and goes on at the other."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from websockets.sync.client import connect

from tests.flow.channels.lobby import VISITORS, Page
from tests.flow.distributed.processes import until
from tests.flow.distributed.site import LOCAL
from tests.upstreams import Gate, Scripted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.flow.distributed.processes import Serve
    from tests.flow.distributed.site import Site


@contextmanager
def opened(serve: Serve, link: str, after: Page | None = None) -> Iterator[Page]:
    """A page at a node, by the link that the other one may have made."""
    url = str(serve.http.base_url).rstrip("/").replace("http", "ws", 1) + link
    with connect(url, compression=None, proxy=None, close_timeout=2) as socket, Page(socket, after=after) as page:
        yield page


def invited(site: Site) -> str:
    """The path of a link to a new agent, made at the first node once both know the agent."""
    name = site.name("desk")
    site.serves[0].done("POST", "/agents", {"name": name, "model": LOCAL, "channels": VISITORS})
    path = f"/agents/{name}/visitor-links"
    until(lambda: site.serves[1].admin("POST", path, {}).status_code == 201)
    return str(site.serves[0].done("POST", path, {})["path"])


def test_a_page_at_one_node_sees_what_is_said_at_the_other(site: Site) -> None:
    gate = Gate()
    site.local.plan(Scripted(pieces=("Once ", "upon ", "a time."), gate=gate, gate_after=2))
    link = invited(site)
    with opened(site.serves[0], link) as here, opened(site.serves[1], link) as there:
        here.say("m1", "Tell me.")
        assert there.until(lambda event: event["type"] == "accepted")["text"] == "Tell me."
        there.until(lambda _: there.text.get("m1") == "Once upon ")
        gate.open()
        assert here.reply("m1") == there.reply("m1") == "Once upon a time."


def test_a_page_that_was_cut_off_goes_on_at_the_other_node(site: Site) -> None:
    gate = Gate()
    site.local.plan(Scripted(pieces=("One, ", "two, ", "three."), gate=gate, gate_after=2), Scripted(text="Three."))
    link = invited(site)
    with opened(site.serves[0], link) as page:
        page.say("m1", "Count.")
        page.until(lambda _: page.text.get("m1") == "One, two, ")
    with opened(site.serves[1], link, after=page) as again:
        assert again.events[0]["resumed"] is False
        gate.open()
        assert again.reply("m1") == "One, two, three."
        assert again.ask("m2", "How many?") == "Three."
    asked = [json.dumps(one.json["messages"]) for one in site.local.requests_to("/api/chat")]
    assert "One, two, three." in asked[-1]
