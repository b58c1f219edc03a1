"""A model's Markdown in Slack's form: what it looks like, that it mentions nobody, and that it fits into posts."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from junto.channels.slack_mrkdwn import LONGEST_POST, MOST_POSTS, plain, posts

_ALLOWED = re.compile(r"<(?:https?://|mailto:)[^<>|\s]+(?:\|[^<>|]*)?>", re.IGNORECASE)


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("Hello.", "Hello."),
        ("**bold** and *italic* and ***both***", "*bold* and _italic_ and *_both_*"),
        ("__bold__ and _italic_", "*bold* and _italic_"),
        ("~~gone~~", "~gone~"),
        ("snake_case_name and 2 * 3 * 4", "snake_case_name and 2 * 3 * 4"),
        ("# Title", "*Title*"),
        ("### A **bold** title ###", "*A bold title*"),
        ("#hashtag", "#hashtag"),
        ("- one\n* two\n  + three", "• one\n• two\n  • three"),
        ("1. one\n2. two", "1. one\n2. two"),
        ("a\n\n---\n\nb", "a\n\n———\n\nb"),
        ("> quoted", "&gt; quoted"),
        ("`**code** <b>`", "`**code** &lt;b&gt;`"),
        ("```python\nif a < b and **c**:\n```\nafter", "```\nif a &lt; b and **c**:\n```\nafter"),
        ("~~~\ncode\n~~~", "```\ncode\n```"),
        ("```\nnever closed", "```\nnever closed\n```"),
        ("[Junto](https://example.com/a?b=1&c=2)", "<https://example.com/a?b=1&amp;c=2|Junto>"),
        ("![a plot](https://example.com/p.png)", "<https://example.com/p.png|a plot>"),
        ('[x](https://example.com/ "title")', "<https://example.com/|x>"),
        ("[w](https://en.example.org/A_(b))", "<https://en.example.org/A_(b)|w>"),
        ("**[x](https://example.com)**", "*<https://example.com|x>*"),
        ("<https://example.com/a>", "<https://example.com/a>"),
        ("[mail](mailto:a@example.com)", "<mailto:a@example.com|mail>"),
        ("[run](javascript:alert)", "run (javascript:alert)"),
        ("[https://bank.example](https://evil.example)", "https://bank.example (<https://evil.example>)"),
        ("[bank.example](https://evil.example)", "bank.example (<https://evil.example>)"),
        ("[a|b](https://example.com/|c)", "<https://example.com/%7Cc|a/b>"),
        ("AT&T &amp; Co", "AT&amp;T &amp;amp; Co"),
        ("", "…"),
        (" \n\n ", "…"),
        ("a\ud800b\0", "a?b"),
    ],
)
def test_markdown_becomes_mrkdwn(markdown: str, mrkdwn: str) -> None:
    assert posts(markdown) == (mrkdwn,)


@pytest.mark.parametrize(
    "attack",
    [
        "<!channel> <!here> <!everyone>",
        "<@U012AB3CD> and <#C012AB3CD> and <!subteam^S1|@all>",
        "<!date^1392734382^Posted^https://evil.example|x>",
        "[<!channel>](https://example.com)",
        "[x](<!channel>)",
        "[x](https://example.com/><!channel>)",
        "**<!channel>** `<!here>`\n```\n<!everyone>\n```",
        "<<https://example.com>!channel>",
        "<https://example.com|<!channel>>",
        "&lt;!channel&gt;",
        "[a](https://e.com)<!channel>[b](https://e.com)",
    ],
)
def test_a_model_mentions_nobody(attack: str) -> None:
    text = "\n".join(posts(attack))
    assert "<" not in _ALLOWED.sub("", text)
    assert ">" not in _ALLOWED.sub("", text)


_MARKS = "< > ! @ # | channel [ ] ( ) * ** _ ` ``` ~~ ~~~ https:// mailto: & a - <!here>"
_PIECES = st.sampled_from([*_MARKS.split(), " ", "\n", '"', "x" * 700])


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=60).map("".join)))
@example("```\n" + "<" * 9_000)
@example("*" * 20_000)
@example("[" * 20_000)
@example("[a](" * 5_000)
@example("`" * 9_999 + "\n" + "x" * 9_999)
def test_whatever_a_model_writes_is_posts_that_fit_and_mention_nobody(markdown: str) -> None:
    made = posts(markdown)
    assert 1 <= len(made) <= MOST_POSTS
    for text in made:
        assert text.strip()
        assert len(text) <= LONGEST_POST
        rest = _ALLOWED.sub("", text)
        assert "<" not in rest
        assert ">" not in rest
        assert not re.search(r"&(?!amp;|lt;|gt;)", text)


def test_a_long_answer_is_several_posts_in_order_with_nothing_lost() -> None:
    words = [f"word{n}" for n in range(3_000)]
    made = posts(" ".join(words))
    assert len(made) > 1
    assert " ".join(made).split() == words


def test_a_code_block_that_is_split_is_a_code_block_in_each_post() -> None:
    lines = [f"line {n} of the code" for n in range(400)]
    made = posts("Look:\n```\n" + "\n".join(lines) + "\n```\nDone.")
    assert len(made) > 1
    assert all(text.count("```") % 2 == 0 for text in made)
    assert [line for text in made for line in text.splitlines() if line.startswith("line")] == lines
    assert made[-1].endswith("Done.")


def test_an_endless_answer_is_cut_and_says_so() -> None:
    made = posts("word " * 50_000)
    assert len(made) == MOST_POSTS
    assert "longer" in made[-1]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<@UBOT> what is new?", "what is new?"),
        ("  <@UBOT>: <@UBOT|junto>, hello", "hello"),
        ("hello <@UBOT>", "hello"),
        ("tell <@UBOT> about <@U2|bob>", "tell @UBOT about @bob"),
        ("<@U2> knows", "@U2 knows"),
        ("see <#C1|general> and <#C2>", "see #general and #C2"),
        ("<!here> <!subteam^S1|@team> <!date^1392734382^{date}|today>", "@here @team today"),
        ("<https://example.com/?a=1&amp;b=2>", "https://example.com/?a=1&b=2"),
        ("<https://example.com|the site>", "the site (https://example.com)"),
        ("<mailto:a@example.com|a@example.com>", "a@example.com"),
        ("a &lt; b &amp;&amp; c &gt; d &amp;lt;", "a < b && c > d &lt;"),
        ("<@UBOT>", ""),
    ],
)
def test_what_people_write_is_read_as_they_see_it(written: str, read: str) -> None:
    assert plain(written, bot="UBOT") == read


def test_a_mention_at_the_beginning_is_left_out_where_the_bot_is_not_known() -> None:
    assert plain("<@U123> hi <@U5>", bot=None) == "hi @U5"


def test_a_heading_of_nothing_but_marks_is_read_at_once() -> None:
    """A model that writes them without end must not hold up everybody."""
    assert posts("## Title ##\nx") == ("*Title*\nx",)
    assert posts(f"# {'# ' * 990}x\n" * 5_000)
