"""The chat page: small, self-contained, and safe with what a model says."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from importlib import resources

ASSETS = resources.files("junto.web").joinpath("assets")
HTML, CSS, JS = (ASSETS.joinpath(name).read_text(encoding="utf-8") for name in ("chat.html", "chat.css", "chat.js"))


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(HTML)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def values(self, attribute: str) -> set[str]:
        return {value for _, attributes in self.tags if (value := attributes.get(attribute))}


def test_all_of_it_is_smaller_than_30_kilobytes() -> None:
    assert sum(len(text.encode()) for text in (HTML, CSS, JS)) < 30_000


def test_the_page_needs_nothing_that_its_content_security_policy_forbids() -> None:
    page = Page()
    assert not [tag for tag, given in page.tags if tag == "style" or (tag == "script" and not given.get("src"))]
    assert not [name for _, given in page.tags for name in given if name == "style" or name.startswith("on")]
    assert page.values("src") == {"/assets/chat.js"}
    assert not re.search(r"\.style\b|setAttribute\(\"(style|on)", JS)


def test_nothing_comes_from_elsewhere() -> None:
    assert all(link.startswith("/") for link in Page().values("href"))
    assert not re.search(r"@import|url\(", CSS)
    assert re.findall(r"\bfetch\((.{12})", JS) == ["`${at}/sessi"]
    assert re.findall(r"new WebSocket\((.{18})", JS) == ["`${location.origin"]


def test_nothing_is_ever_set_as_markup() -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc", JS
    )
    assert "img" not in JS


def test_every_element_that_the_script_looks_for_is_in_the_page() -> None:
    wanted = set(re.findall(r'byId\("([\w-]+)"\)', JS))
    assert wanted
    assert wanted <= Page().values("id")


def test_what_is_described_or_labelled_by_an_element_names_one_that_exists() -> None:
    page = Page()
    named = page.values("aria-labelledby") | page.values("aria-describedby") | page.values("for")
    assert named <= page.values("id")
    assert ("html", {"lang": "en"}) in page.tags


def test_it_says_that_an_ai_answers_before_any_script_runs() -> None:
    assert "You are talking to an AI." in HTML
