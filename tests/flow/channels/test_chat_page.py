"""The chat page in a real Chromium: a conversation by mouse, keyboard and touch, through breaks, and with whatever a model says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.flow.channels.chromium import running_chromium
from tests.flow.channels.lobby import Lobby
from tests.upstreams import Gate, Scripted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, BrowserContext, Page

PATIENCE = 20_000  # ms
DESK = "/chat/front-desk"
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 640}, "has_touch": True, "is_mobile": True}
type Opened = Callable[..., Page]

XSS = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "<svg/onload=window.hit=1>",
    "[click](javascript:window.hit=1)",
    "[click](JaVaScRiPt:window.hit=1)",
    "[click](java\tscript:window.hit=1)",
    "[click](\x01javascript:window.hit=1)",
    "[click](data:text/html,<script>window.hit=1</script>)",
    "[click](vbscript:msgbox(1))",
    "[click](//evil.example/x)",
    "![pixel](https://evil.example/pixel.png)",
    '[x](https://evil.example/" onmouseover="window.hit=1)',
    '<https://evil.example/"onclick=window.hit=1>',
    "`<img src=x onerror=window.hit=1>`",
    "```html\n<script>window.hit=1</script>\n```",
    '```"><script>window.hit=1</script>\nx\n```',
    "**<iframe srcdoc='<script>parent.hit=1</script>'>**",
    "- <style>*{background:url(https://evil.example/)}</style>",
    "# <a href=javascript:window.hit=1>x</a>",
    "> <form action=https://evil.example><button>x</button></form>",
    "&lt;script&gt;window.hit=1&lt;/script&gt;",
    "<b onclick=window.hit=1>x</b><math><mtext></form><form><mglyph><style></math><img src onerror=window.hit=1>",
    "[https://bank.example](https://evil.example/)",
    "*" * 3_000,
    "[" * 3_000,
    "**_" * 1_000 + "x",
    "`" * 2_999,
    "- " * 1_000,
    "> " * 1_000,
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def lobby(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lobby]:
    with Lobby(tmp_path_factory.mktemp("lobby"), {}) as lobby:
        lobby.hire(display_name="Ada", role="Front desk of the museum")
        yield lobby


@pytest.fixture(autouse=True)
def nothing_planned(lobby: Lobby) -> None:
    """What a test before has planned and nobody asked for is no answer of this one's."""
    lobby.model.script.take_back()


@pytest.fixture
def opened(browser: Browser, lobby: Lobby) -> Iterator[Opened]:
    """Opens the page by a new visitor's link, connected; nothing may be amiss on its console when the test ends."""
    contexts: list[BrowserContext] = []
    said: list[str] = []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("console", lambda line: said.append(line.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(lobby.junto.url + lobby.link())
        connected(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [line for line in said if not re.search(r"ERR_|WebSocket connection|status of 40\d", line)] == []


@pytest.fixture(scope="module")
def reader(browser: Browser, lobby: Lobby) -> Iterator[Page]:
    """The page without a conversation: for what its script makes of texts."""
    page = browser.new_page()
    page.goto(lobby.junto.url + DESK)
    expect(page.get_by_role("status")).to_have_text("Closed", timeout=PATIENCE)
    yield page
    page.close()


def connected(page: Page) -> None:
    expect(page.get_by_role("status")).to_have_text("Connected", timeout=PATIENCE)


def write(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Your message").fill(text)
    page.get_by_role("button", name="Send").click()


def replies(page: Page) -> Any:
    return page.locator(".theirs .said")


def test_a_conversation_with_memory_that_is_there_after_a_reload(opened: Opened, lobby: Lobby) -> None:
    lobby.model.script.plan(Scripted(text="Hello **Grace**."), Scripted(text="You are Grace."), Scripted(text="Twice."))
    page = opened()
    assert page.url == lobby.junto.url + DESK
    expect(page.get_by_role("heading", name="Ada")).to_be_visible()
    for number, text in enumerate(("I am Grace.", "Who am I?", "How often did you say that?"), 1):
        write(page, text)
        expect(replies(page)).to_have_count(number, timeout=PATIENCE)
        expect(replies(page).last).to_contain_text(".", timeout=PATIENCE)
    assert replies(page).all_inner_texts() == ["Hello Grace.", "You are Grace.", "Twice."]
    assert lobby.questions()[-1][0] == "I am Grace."
    page.reload()
    connected(page)
    assert replies(page).all_inner_texts() == ["Hello Grace.", "You are Grace.", "Twice."]
    expect(page.locator(".mine .said").first).to_have_text("I am Grace.")


def test_an_answer_grows_while_dots_say_that_it_comes(opened: Opened, lobby: Lobby) -> None:
    first, rest = Gate(), Gate()
    page = opened()
    lobby.model.script.plan(Scripted(text="One.", gate=first))
    write(page, "Count.")
    expect(page.locator(".dots")).to_be_visible()
    expect(page.get_by_text("Ada is typing")).to_be_attached()
    first.open()
    expect(replies(page).last).to_have_text("One.")
    expect(page.locator(".dots")).to_have_count(0)
    lobby.model.script.plan(Scripted(pieces=("One, ", "two, ", "three."), gate=rest, gate_after=2))
    write(page, "Again.")
    expect(replies(page).last).to_have_text("One, two,")
    rest.open()
    expect(replies(page).last).to_have_text("One, two, three.")


def test_the_keyboard_alone_does(opened: Opened, lobby: Lobby) -> None:
    lobby.model.script.plan(Scripted(text="See [the hours](https://museum.example/hours)."))
    page = opened()
    expect(page.get_by_role("textbox", name="Your message")).to_be_focused()
    page.keyboard.type("Hours,")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("please?")
    page.keyboard.press("Enter")
    expect(page.locator(".mine .said")).to_have_text("Hours,\nplease?", use_inner_text=True)
    expect(page.get_by_role("link", name="the hours")).to_be_visible()
    expect(page.get_by_role("textbox", name="Your message")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Send")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    for _ in range(2):
        page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("link", name="the hours")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("main")).to_be_focused()  # what can be scrolled can be scrolled by keys
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_a_screen_reader_hears_whole_sentences_once(opened: Opened, lobby: Lobby) -> None:
    gate = Gate()
    text = "The museum is open. It closes at six. Dogs"
    lobby.model.script.plan(Scripted(pieces=(text, " stay *outside*."), gate=gate, gate_after=1))
    page = opened()
    write(page, "When?")
    spoken = page.locator("#spoken p")
    expect(spoken.first).to_have_text("The museum is open. It closes at six.")
    gate.open()
    expect(spoken).to_have_text(["The museum is open. It closes at six.", "Dogs stay outside."])
    expect(page.locator("#spoken")).to_have_attribute("aria-live", "polite")
    assert page.locator("#messages").get_attribute("aria-live") is None


def test_it_fits_on_a_phone(opened: Opened, lobby: Lobby) -> None:
    long = "A very_long_word_" * 30 + "\n\n```\n" + "wide " * 100 + "\n```\n\n" + "More.\n\n" * 20
    lobby.model.script.plan(Scripted(text=long), Scripted(text="Fine."))
    page = opened(**PHONE)
    assert page.evaluate("document.activeElement === document.body")  # no keyboard unasked for
    write(page, "Tell me everything.")
    expect(replies(page).last).to_contain_text("More.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("room().scrollWidth <= room().clientWidth")
    for name in ("textbox", "button"):
        size = page.locator("form").get_by_role(name).bounding_box()
        assert size is not None
        assert size["height"] >= 40
        assert 0 <= size["y"] <= 640 - size["height"]
    assert page.evaluate("isLow()")
    page.evaluate("room().scrollTop = 0")
    write(page, "And?")
    expect(replies(page).last).to_have_text("Fine.")
    assert page.evaluate("isLow()")


def test_whatever_a_model_says_is_text(opened: Opened, lobby: Lobby) -> None:
    asked: list[str] = []
    page = opened()
    page.on("request", lambda request: asked.append(request.url))
    lobby.model.script.plan(Scripted(text="\n\n".join(XSS[:23])))
    write(page, "<img src=x onerror='window.hit = 1'> [x](javascript:window.hit=1)")
    expect(replies(page).last).to_contain_text("bank")
    page.wait_for_function("document.querySelector('#spoken').childElementCount > 0")
    tags = set(page.evaluate("[...document.querySelectorAll('.said *')].map((one) => one.localName)"))
    assert tags <= {"p", "a", "code", "pre", "strong", "em", "s", "ul", "ol", "li", "br", "blockquote", "hr"}, tags
    assert set(page.evaluate("[...document.querySelectorAll('#spoken *')].map((one) => one.localName)")) == {"p"}
    links = page.evaluate("[...document.querySelectorAll('.said a')].map((a) => [a.protocol, a.rel, a.target])")
    assert links
    assert all(link == ["https:", "noopener noreferrer nofollow", "_blank"] for link in links)
    attributes = page.evaluate("[...document.querySelectorAll('.said *')].flatMap((one) => one.getAttributeNames())")
    assert set(attributes) <= {"href", "rel", "target", "start", "tabindex", "role", "aria-label", "class"}
    expect(page.get_by_text("(evil.example)").first).to_be_visible()  # a label that hides where a link leads
    assert page.evaluate("window.hit") is None
    assert [url for url in asked if "evil" in url] == []


BLANKS = " " * 8_000
HARD = [
    *(part * 8_000 for part in ("**a ", "_a ", "`a", "[a](", "~~", "1. ")),
    f"# {BLANKS}a{BLANKS}b\u2028c",
    f"# {'#' * 16_000}a",
    f"~~~{'~' * 16_000}{BLANKS}`",
    f"- {BLANKS}a\u2028b",
]


@pytest.mark.parametrize("text", [*XSS, *HARD])
def test_what_is_hard_to_read_is_rendered_all_the_same(reader: Page, text: str) -> None:
    """What takes a regular expression for ever would hang here."""
    made = reader.evaluate("(text) => element('div', {}, markdown(text)).textContent.length", text)
    assert made >= 0
    assert reader.evaluate("window.hit") is None


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("a **b** _c_ `d*e*`", "<p>a <strong>b</strong> <em>c</em> <code>d*e*</code></p>"),
        ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
        ("- a\n- b\n  1. c\n- d", '<ul><li>a</li><li>b<ol start="1"><li>c</li></ol></li><li>d</li></ul>'),
        ("# Title #\ntext", '<p class="heading">Title</p><p>text</p>'),
        ("> a\n> b", "<blockquote>a<br>b</blockquote>"),
        ("2 * 3 * 4 and snake_case_name", "<p>2 * 3 * 4 and snake_case_name</p>"),
        ("a\n---\nb", "<p>a<br>---<br>b</p>"),
        ("\\*a\\*", "<p>*a*</p>"),
        ("<b>a</b>", "<p>&lt;b&gt;a&lt;/b&gt;</p>"),
        ("# C   ##", '<p class="heading">C</p>'),
        ("~~~ c++ x\na\n~~~", '<pre tabindex="0" role="group" aria-label="Code, c++"><code>a</code></pre>'),
        ("https://bank.example@evil.example/", "<p>https://bank.example@evil.example/</p>"),
    ],
)
def test_markdown_becomes_elements(reader: Page, text: str, markup: str) -> None:
    made = reader.evaluate("(text) => element('div', {}, markdown(text)).innerHTML", text)
    assert made == markup


@pytest.mark.parametrize(
    ("label", "is_told"),
    [
        ("**https://bank.example**", True),
        ("`bank.example`", True),
        ("\u200bhttps://bank.example/login", True),
        ("log in at https://bank.example", True),
        ("bänk.example", True),
        ("evil.example", False),
        ("https://evil.example/x", False),
        ("click here", False),
    ],
)
def test_a_label_that_reads_as_another_address_is_told_apart(reader: Page, label: str, *, is_told: bool) -> None:
    text = f"[{label}](https://evil.example/x)"
    link = reader.evaluate("(text) => element('div', {}, markdown(text)).querySelector('a').textContent", text)
    assert link.endswith(" (evil.example)") is is_told


def test_a_break_in_the_middle_of_an_answer_is_told_and_mended(opened: Opened, lobby: Lobby) -> None:
    words = [f"word{number}" for number in range(60)]
    gate = Gate()
    lobby.model.script.plan(Scripted(pieces=tuple(f"{word} " for word in words), gate=gate, gate_after=20))
    page = opened()
    write(page, "Recite.")
    expect(replies(page).last).to_contain_text("word19")
    page.context.set_offline(True)
    page.evaluate("socket.close()")
    expect(page.get_by_role("status")).to_have_text("Offline")
    write(page, "And this was said in a tunnel.")
    expect(page.locator(".trouble")).to_contain_text("Not sent yet")
    gate.open()
    lobby.model.script.plan(Scripted(text="I heard you."))
    page.context.set_offline(False)
    connected(page)
    expect(replies(page).last).to_have_text("I heard you.")
    assert replies(page).first.inner_text().split() == words
    expect(page.locator(".trouble")).to_have_count(0)
    expect(page.locator(".mine")).to_have_count(2)
    assert [asked[-1] for asked in lobby.questions()].count("And this was said in a tunnel.") == 1


def test_what_was_not_sent_survives_a_reload(opened: Opened, lobby: Lobby) -> None:
    lobby.model.script.plan(Scripted(text="Got it."))
    page = opened()
    page.route("**/session", lambda route: route.abort())
    page.evaluate("socket.close()")
    expect(page.get_by_role("status")).to_contain_text("Trying again")
    write(page, "Do not lose me.")
    page.unroute("**/session")
    page.reload()
    connected(page)
    expect(replies(page).last).to_have_text("Got it.")
    expect(page.locator(".mine .said")).to_have_text(["Do not lose me."])


def test_without_a_link_it_says_what_is_needed(browser: Browser, lobby: Lobby) -> None:
    page = browser.new_page()
    page.goto(lobby.junto.url + DESK)
    expect(page.locator("#greeting")).to_contain_text("opened by a link")
    expect(page.get_by_role("status")).to_have_text("Closed")
    expect(page.get_by_role("textbox")).to_be_disabled()
    page.close()


def test_who_may_not_stay_is_told(opened: Opened, lobby: Lobby) -> None:
    page = opened()
    lobby.change(enabled=False)
    try:
        write(page, "Hello?")
        expect(page.get_by_role("status")).to_have_text("Closed")
        expect(page.locator("#note")).to_have_text("This chat is not available any more.")
    finally:
        lobby.change(enabled=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_has_a_name_a_place_and_enough_contrast(opened: Opened, lobby: Lobby, scheme: str) -> None:
    lobby.model.script.plan(Scripted(text="A [link](https://a.example), `code`.\n\n```\nblock\n```\n\n> quoted"))
    page = opened(color_scheme=scheme)
    write(page, "Hello.")
    expect(page.locator(".said pre")).to_be_visible()
    found: dict[str, Any] = page.evaluate(CHECKS)
    assert found["nameless"] == []
    assert found["outside"] == []
    assert found["pale"] == []
    assert found["ids"] == []
    assert (found["lang"], found["headings"]) == ("en", 1)
    expect(page.get_by_role("banner")).to_have_count(1)
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("form", name="Write a message")).to_have_count(1)
    expect(page.get_by_role("list", name="Messages").get_by_role("listitem")).to_have_count(2)


def test_who_wants_no_motion_sees_none(opened: Opened, lobby: Lobby) -> None:
    gate = Gate()
    lobby.model.script.plan(Scripted(text="Still.", gate=gate))
    page = opened(reduced_motion="reduce")
    write(page, "Hello.")
    expect(page.locator(".dots")).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0
    gate.open()
    expect(replies(page).last).to_have_text("Still.")


# What a checker of accessibility looks at first: names of controls, landmarks around all text, contrast of 4.5 and more.
CHECKS = r"""() => {
  const visible = (one) => one.checkVisibility() && one.getBoundingClientRect().width > 1;
  const light = (color) => {
    const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const clear = (color) => color === "transparent" || /, 0\)$/.test(color);
  const behind = (one) => {
    while (one && clear(getComputedStyle(one).backgroundColor)) one = one.parentElement;
    return one ? getComputedStyle(one).backgroundColor : "rgb(255, 255, 255)";
  };
  const contrast = (one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const texts = [...document.querySelectorAll("body *")].filter(
    (one) => visible(one) && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  const controls = [...document.querySelectorAll("a, button, input, textarea, [tabindex]")].filter(visible);
  const name = (one) => one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent.trim();
  const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
  return {
    nameless: controls.filter((one) => !name(one)).map((one) => one.outerHTML),
    outside: texts.filter((one) => !one.closest("header, main, form, [role=log]") && one.id !== "latest").map((one) => one.outerHTML),
    pale: texts.filter((one) => contrast(one) < 4.5).map((one) => [one.className || one.localName, contrast(one)]),
    ids: ids.filter((id, n) => ids.indexOf(id) !== n),
    lang: document.documentElement.lang,
    headings: document.querySelectorAll("h1").length,
  };
}"""
