"""YAML with lines, bounded and without surprises."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.document import MAX_CHARACTERS, ConfigErrors, path_text, read
from junto.core.near import did_you_mean, near


def errors(text: str) -> list[tuple[str, int | None]]:
    """Path and line of everything wrong in that text."""
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    return [(error.path, error.line) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("[on, off, yes, no, y]", ["on", "off", "yes", "no", "y"]),
        ("[true, False, ~, null]", [True, False, None, None]),
        ("[1, -2, 1.5, 1e3, .5]", [1, -2, 1.5, 1000.0, 0.5]),
        ("[2025-01-01, 12:30, 1_000, 0x1F, 010]", ["2025-01-01", "12:30", "1_000", "0x1F", 10]),
        ("['1', \"true\", '']", ["1", "true", ""]),
        ("[.inf, .nan, 99999999999999999999]", [".inf", ".nan", "99999999999999999999"]),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
    ],
)
def test_scalars_are_read_without_yaml_1_1s_surprises(text: str, value: object) -> None:
    """`no` is a word, a date is a word, a time is not a number of seconds."""
    read_value = read(text).value
    assert read_value == value
    if isinstance(value, list):
        assert [type(one) for one in read_value] == [type(one) for one in value]


def test_every_value_knows_its_line() -> None:
    """A missing path has the line of the nearest thing around it."""
    document = read("a:\n  - b: 1\n    c: 2\n  - d\ne: {f: 3}\n")
    assert document.line(("a",)) == 1
    assert document.line(("a", 0)) == 2
    assert document.line(("a", 0, "c")) == 3
    assert document.line(("a", 1)) == 4
    assert document.line(("a", 9, "x")) == 1
    assert document.line(("e", "f")) == 5
    assert path_text(("a", 0, "c")) == "a[0].c"


def test_aliases_and_merges_mean_what_they_mean_elsewhere() -> None:
    """A key written out wins over a merged one, an earlier mapping over a later."""
    document = read("base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\nuse:\n  <<: [*b, *m]\n  x: 9\nsame: *b\n")
    assert document.value["use"] == {"x": 9, "y": 2, "z": 4}
    assert document.value["same"] == {"x": 1, "y": 2}
    assert errors("a:\n  <<: 3\n") == [("a.<<", 2)]


def test_all_duplicate_keys_tags_and_keys_that_are_no_text_are_listed() -> None:
    """In the order of their lines."""
    text = "a: 1\nb: {c: 1, c: 2}\nd: !!python/object/apply:os.system [x]\na: 2\n1: 2\n[x]: 3\n"
    assert errors(text) == [("b.c", 2), ("d", 3), ("a", 4), ("", 5), ("", 6)]


@pytest.mark.parametrize(
    ("text", "line"),
    [("a: [", 2), ("a: b: c", 1), ("\tx", 1), ("a: *nobody", 1), ("a: &a [*a]", 1), ("---\na\n---\nb\n", 3)],
)
def test_what_is_no_document_is_one_error_with_its_line(text: str, line: int) -> None:
    """An alias inside its own anchor is one too."""
    assert [where for _, where in errors(text)] == [line]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "- " * 100_000,
        "x" * (MAX_CHARACTERS + 1),
        "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 10)}]\n" for n in range(9)),
        "a: \x00",
    ],
)
def test_depth_size_and_expansion_are_bounded(text: str) -> None:
    """A billion laughs are refused after fifty thousand."""
    with pytest.raises(ConfigErrors):
        read(text)


@given(st.text(alphabet="ab:-[]{}*&!<'\" \n#|>?,%@~1.", max_size=80))
def test_any_text_is_a_document_or_a_list_of_errors(text: str) -> None:
    """Nothing else can come of reading it."""
    with contextlib.suppress(ConfigErrors):
        read(text)


def test_near_names_are_those_that_look_alike_and_looking_is_bounded() -> None:
    """However long the name and however many the known ones."""
    assert near("priorty", ["priority", "provider", "url"]) == ["priority"]
    assert did_you_mean("priorty", ["priority"]) == " Did you mean priority?"
    assert did_you_mean("zzz", ["priority"]) == ""
    assert near("a" * 10**6, ["a" * 10**6] * 10**4) == []
