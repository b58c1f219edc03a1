"""Where a text is cut, so that its sound can begin before its end is read, and no piece holds an engine up for long.

Pure. Nothing is lost: the pieces, one after the other, are the text, but for blanks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from junto.speech.abbreviations import BEFORE_NAMES, BEFORE_NUMBERS, WITHIN

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 300  # characters: some 20 seconds of sound, a fifth of a second of the default engine's work
FIRST = 140  # of the first piece, where there is a place to cut it

_CLOSERS = "\"'”’»)\\]}」』）】》*_"  # noqa: RUF001  these very characters
_WIDE_ENDS = "。！？｡"  # noqa: RUF001
# A full stop, an exclamation or question mark, or an ellipsis, then a blank; wide marks need none. A row of them is looked at once,
# from its beginning: ten thousand dots are text, too.
_END = re.compile(rf"(?<![.!?…])[.!?…]++[{_CLOSERS}]*+(?=\s)|[{_WIDE_ENDS}]+[{_CLOSERS}]*")
_CLAUSE = re.compile(rf"[,;:—–][{_CLOSERS}]*(?=\s)|[，、；：]")  # noqa: RUF001
_LAST_WORD = re.compile(rf"[^\s({_CLOSERS}—–-]*$")  # noqa: RUF001
_NEXT_WORD = re.compile(rf"[\s{_CLOSERS}(“‘«¿¡-]*(\S)")  # noqa: RUF001
_ITEM = re.compile(r"(?:[-*•–]|#{1,6}|\d{1,3}[.)]|[a-z][.)])\s", re.IGNORECASE)  # noqa: RUF001
_JOINS = (",", ";", "-", "–", "—")  # noqa: RUF001  a line that ends so goes on
_OPENERS = "\"'“‘«("  # noqa: RUF001
_SHORT_LINE = 50  # characters; a line that ends before this was not wrapped
_LONGEST_WORD = 40
_HEAVIEST = 2  # of a piece, times its length in letters: what has no letters takes long to say, and all others wait
_OF_A_NUMBER = 6  # letters that a digit or a sign takes, when it is said
_LIGHT = frozenset(" .,;:!?'\"()-–—…‘’“”")  # noqa: RUF001  what is not said


def split(text: str, *, longest: int = LONGEST, first: int = FIRST) -> list[str]:
    """The pieces of a text, in order, each without line ends and of at most `longest` characters; of fewer, where they are digits.

    Cut at ends of sentences; a longer sentence at its clauses, its words, and only then within a word. A first sentence that is longer
    than `first` is cut at its clauses, too, so that its sound begins soon.
    """
    pieces: list[str] = []
    for block in _blocks(text):
        for sentence in _sentences(block):
            whole = " ".join(sentence.split())
            if whole and not pieces:
                head, whole = _first(whole, min(first, longest))
                pieces.extend(_bounded(head, longest))
            pieces.extend(_bounded(whole, longest))
    return pieces


def _blocks(text: str) -> Iterator[str]:
    """Parts that certainly end where they end: paragraphs, headings, items of lists."""
    block: list[str] = []
    for line in text.split("\n"):
        if block and _breaks(block[-1], line):
            yield "\n".join(block)
            block = []
        block.append(line)
    yield "\n".join(block)


def _breaks(line: str, following: str) -> bool:
    before, after = line.strip(), following.strip()
    if not before or not after or _ITEM.match(after) or before.startswith("#"):
        return True
    short = len(before) < _SHORT_LINE and not before.endswith(_JOINS)
    return short and (after[0].isupper() or after[0] in _OPENERS)


def _sentences(block: str) -> Iterator[str]:
    start = 0
    for mark in _END.finditer(block):
        if _is_end(block, start, mark):
            yield block[start : mark.end()]
            start = mark.end()
    yield block[start:]


def _is_end(block: str, start: int, mark: re.Match[str]) -> bool:
    if mark[0][0] in _WIDE_ENDS:
        return True
    following = _NEXT_WORD.match(block, mark.end())
    if following is None or following[1].islower():
        return False
    if mark[0][0] != "." or mark[0].startswith(".."):
        return True
    found = _LAST_WORD.search(block[max(start, mark.start() - _LONGEST_WORD) : mark.start()])
    word = found[0] if found else ""
    if word.isdigit() and not block[start : mark.start() - len(word)].strip():
        return False  # the number of an item
    return not _is_short_for(word, following[1])


def _is_short_for(word: str, following: str) -> bool:
    """Whether a word with a full stop is an abbreviation that the sentence goes on after."""
    if len(word) == 1 and word.isupper() and word != "I":
        return True  # an initial
    name = word.casefold()
    return (
        name in WITHIN
        or (name in BEFORE_NAMES and following.isupper())
        or (name in BEFORE_NUMBERS and following.isdigit())
    )


def _first(sentence: str, bound: int) -> tuple[str, str]:
    """A sentence in two, at the last clause within the bound; in one where it is short enough, or has none there."""
    if len(sentence) <= bound:
        return sentence, ""
    cut = _last_clause(sentence, 0, bound) or len(sentence)
    return sentence[:cut].rstrip(), sentence[cut:].lstrip()


def _bounded(sentence: str, longest: int) -> Iterator[str]:
    start = 0
    while (end := _reach(sentence, start, longest)) < len(sentence):
        cut = _last_clause(sentence, start, end)
        if cut <= start:
            cut = sentence.rfind(" ", start + 1, end + 1)
        if cut <= start:
            cut = end
        yield sentence[start:cut].strip()
        start = cut + (sentence[cut] == " ")  # there is one blank at most between words
    if start < len(sentence):
        yield sentence[start:].strip()


def _reach(sentence: str, start: int, longest: int) -> int:
    """Where a piece that begins there has to end at the latest."""
    end = min(start + longest, len(sentence))
    room = _HEAVIEST * longest
    for at in range(start, end):
        letter = sentence[at]
        is_said_long = letter.isnumeric() or not (letter.isalpha() or letter in _LIGHT)
        room -= _OF_A_NUMBER if is_said_long else 1
        if room < 0:
            return max(at, start + 1)
    return end


def _last_clause(sentence: str, start: int, end: int) -> int:
    """Where the last clause that ends within the bounds ends; 0 where there is none."""
    cut = 0
    for mark in _CLAUSE.finditer(sentence, start, end + 1):
        if mark.end() <= end:
            cut = mark.end()
    return cut
