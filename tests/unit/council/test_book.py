"""Which template a name stands for."""

import pytest

from junto.core.errors import UnknownModel
from junto.council.book import Source, TemplateBook
from junto.council.template import Template, parse_template


def _template(name: str, description: str = "") -> Template:
    return parse_template({"description": description, "members": [{"name": "Ada", "persona": "x"}]}, name)


BOOK = TemplateBook.of(
    [_template("debate", "built in"), _template("code-review")],
    [_template("debate", "file"), _template("own")],
    [_template("own", "stored")],
)


def test_files_go_before_what_is_built_in_and_stored_ones_before_both() -> None:
    """By name."""
    assert {entry.template.name: (entry.source, entry.template.description) for entry in BOOK.all()} == {
        "code-review": (Source.BUILTIN, ""),
        "debate": (Source.FILE, "file"),
        "own": (Source.STORED, "stored"),
    }
    assert BOOK.names() == ("code-review", "debate", "own")


@pytest.mark.parametrize("name", ["debate", "council/debate", "council/debate:latest"])
def test_a_name_may_be_written_as_a_models(name: str) -> None:
    """As callers of each dialect write it."""
    assert BOOK.get(name).description == "file"


def test_an_unknown_name_comes_with_near_ones() -> None:
    """404."""
    with pytest.raises(UnknownModel, match=r"no council 'debat' here. Did you mean debate\?"):
        BOOK.get("council/debat")
    assert BOOK.find("nothing") is None
    assert TemplateBook().names() == ()
