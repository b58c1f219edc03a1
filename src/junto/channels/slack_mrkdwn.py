"""Text for Slack and from Slack: a model's Markdown as mrkdwn in posts of a fit size, and what people write as plain text. Pure.

Invariant: of what a model writes, `&`, `<` and `>` never reach Slack unescaped. Slack reads `<!channel>`, `<@U1>` and `<#C1>` as
notifications and mentions; the only angle brackets in a post are those of links to http, https or mailto which this file writes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_POST: Final = 3_500
"""Characters of one post: Slack asks for fewer than 4,000, and breaks longer ones up itself, in the middle of a code block."""

MOST_POSTS: Final = 20
_LONGEST_LINE = 2_000  # characters of Markdown that are looked at as one line
_LONGEST_FORM = LONGEST_POST - 10  # with a fence before and after it
_CUT: Final = "_(The answer is longer than what is shown here.)_"
_FENCE: Final = "```"
_DEEPEST = 4

_OPENING = re.compile(r"^ {0,3}(?:```+|~~~+)[^`]*$")
_CLOSING = re.compile(r"^ {0,3}(?:```+|~~~+)\s*$")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+)$")
_BULLET = re.compile(r"^(\s*)[*+-][ \t]+(?=\S)")
_RULE = re.compile(r"^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$")
# Each alternative ends at the first character that may close it, so a line is read in one pass.
_SPAN = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|!?\[(?P<label>[^\[\]]*)\]\((?P<url>[^()\s]+(?:\([^()\s]*\)[^()\s]*)*)(?:[ \t]+\"[^\"]*\")?\)"
    r"|<(?P<auto>(?:https?://|mailto:)[^<>\s|]+)>"
    r"|\*\*\*(?P<both>[^*\s](?:[^*]*[^*\s])?)\*\*\*"
    r"|\*\*(?P<bold>[^*\s](?:[^*]*[^*\s])?)\*\*"
    r"|(?<!\w)__(?P<strong>[^_\s](?:[^_]*[^_\s])?)__(?!\w)"
    r"|(?<![*\w])\*(?P<italic>[^*\s](?:[^*]*[^*\s])?)\*(?![*\w])"
    r"|~~(?P<struck>[^~\s](?:[^~]*[^~\s])?)~~"
)
_LINKABLE = re.compile(r"(?:https?://|mailto:)[!-~]+", re.IGNORECASE)
_IN_URL = str.maketrans({"|": "%7C", "<": "%3C", ">": "%3E", "&": "&amp;", '"': "%22", "`": "%60"})
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LOOKS_LIKE_ADDRESS = re.compile(r"(?:[a-z]+://|www\.|[\w-]+(?:\.[\w-]+)+(?:[/:?#]|$))", re.IGNORECASE)
_TAG = re.compile(r"<([^<>]*)>")


def posts(markdown: str) -> tuple[str, ...]:
    """A model's answer as the texts of messages, in order; at least one, none empty, each of LONGEST_POST characters at most."""
    made: list[str] = []
    lines: list[str] = []
    size, open_fence = 0, False
    for line, in_code in _lines(_writable(markdown)):
        extra = len(line) + 1
        if lines and size + extra > LONGEST_POST - len(_FENCE) - 1:
            made.append(_joined(lines, fenced=open_fence))
            lines, size = ([_FENCE], len(_FENCE) + 1) if open_fence else ([], 0)
        lines.append(line)
        size += extra
        open_fence = in_code
    made.append(_joined(lines, fenced=open_fence))
    said = tuple(post for post in made if post.strip())
    return (*said[: MOST_POSTS - 1], _CUT) if len(said) > MOST_POSTS else said or ("…",)


def escaped(text: str) -> str:
    """Text that Slack shows as it stands: it mentions nobody and links to nothing."""
    return text.translate(_IN_TEXT)


def plain(text: str, *, bot: str | None) -> str:
    """What a person wrote, as the person reads it; mentions of `bot` (a user's id) at its beginning and end are left out."""
    mention = re.compile(rf"<@{re.escape(bot) if bot else '[A-Z0-9]+'}(?:\|[^<>]*)?>")
    text = _without_mentions(_writable(text).strip(), mention, bot)
    text = _TAG.sub(_read_tag, text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def _writable(text: str) -> str:
    """Without what cannot be sent: halves of surrogate pairs, and NULs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _joined(lines: list[str], *, fenced: bool) -> str:
    return "\n".join([*lines, _FENCE] if fenced else lines).strip("\n")


def _lines(markdown: str) -> Iterator[tuple[str, bool]]:
    """Each line of the answer in Slack's form, and whether a code block is open after it."""
    in_code = False
    for line in markdown.splitlines():
        if in_code and _CLOSING.match(line):
            in_code = False
            yield _FENCE, False
        elif not in_code and _OPENING.match(line):
            in_code = True
            yield _FENCE, True
        elif in_code:
            for piece in _pieces(line, _code):
                yield piece, True
        else:
            for piece in _pieces(line, _line):
                yield piece, False


def _pieces(line: str, form: Callable[[str], str]) -> Iterator[str]:
    """A line in Slack's form; a long one in several, broken between words where there are any, each fit for one post."""
    while len(line) > _LONGEST_LINE or len(form(line)) > _LONGEST_FORM:
        most = min(_LONGEST_LINE, len(line) // 2)
        at = line.rfind(" ", most // 2, most) + 1 or most
        yield from _pieces(line[:at].rstrip(), form)
        line = line[at:]
    yield form(line)


def _code(line: str) -> str:
    return escaped(line).replace(_FENCE, "'''")


def _line(line: str) -> str:
    if _RULE.match(line):
        return "———"
    heading = _HEADING.match(line)
    if heading:
        title = heading[1].rstrip(" \t#") or heading[1].strip()
        return f"*{_spans(title.replace('*', '').replace('__', ''), 0)}*"
    bullet = _BULLET.match(line)
    if bullet:
        return f"{bullet[1]}• {_spans(line[bullet.end() :], 0)}"
    return _spans(line, 0)


def _spans(text: str, depth: int) -> str:
    """A line's emphasis, code and links in Slack's form, everything between them escaped."""
    made: list[str] = []
    end = 0
    for span in _SPAN.finditer(text) if depth < _DEEPEST else ():
        made += (escaped(text[end : span.start()]), _span(span, depth))
        end = span.end()
    return "".join([*made, escaped(text[end:])])


def _span(span: re.Match[str], depth: int) -> str:
    kind = span.lastgroup
    inner = span[kind] if kind is not None else ""
    match kind:
        case "code":
            return f"`{escaped(inner)}`"
        case "url":
            return _link(span["label"], inner)
        case "auto":
            return f"<{inner.translate(_IN_URL)}>"
        case "both":
            return f"*_{_spans(inner, depth + 1)}_*"
        case "bold" | "strong":
            return f"*{_spans(inner, depth + 1)}*"
        case "italic":
            return f"_{_spans(inner, depth + 1)}_"
        case _:
            return f"~{_spans(inner, depth + 1)}~"


def _link(label: str, url: str) -> str:
    """A link under its label; where the label looks like an address itself, or the scheme is another one, both are shown."""
    label = " ".join(label.replace("|", "/").split())
    if not _LINKABLE.fullmatch(url):
        return escaped(f"{label} ({url})" if label else url)
    address = url.translate(_IN_URL)
    if not label or label == url:
        return f"<{address}>"
    if _LOOKS_LIKE_ADDRESS.match(label):
        return f"{escaped(label)} (<{address}>)"
    return f"<{address}|{escaped(label)}>"


def _without_mentions(text: str, mention: re.Pattern[str], bot: str | None) -> str:
    while found := mention.match(text):
        text = text[found.end() :].lstrip(" \t\r\n,:")
    while bot and text.endswith(">") and mention.fullmatch(text, at := max(text.rfind("<"), 0)):
        text = text[:at].rstrip()
    return text


def _read_tag(tag: re.Match[str]) -> str:
    """What Slack shows for `<...>`: the name of whom or what it stands for, or a link."""
    what, _, label = tag[1].partition("|")
    if what.startswith("@"):
        return f"@{label or what[1:]}"
    if what.startswith("#"):
        return f"#{label or what[1:]}"
    if what.startswith("!"):
        return label or f"@{what[1:].partition('^')[0]}"
    address = what.removeprefix("mailto:")
    return f"{label} ({what})" if label and label not in {what, address} else address
