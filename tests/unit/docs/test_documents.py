"""README and docs/: links lead somewhere, words are explained once, examples are sound, commands exist."""

import re
from pathlib import Path

import pytest

from junto.bootstrap.known import known_providers
from junto.cli.main import app
from junto.settings.load import parse
from junto.settings.model import ServeOptions

ROOT = Path(__file__).parents[3]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "bench" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
GLOSSARY = ROOT / "docs" / "glossary.md"
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PATH = re.compile(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py)`")


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_lead_somewhere(document: Path) -> None:
    """Every link without a scheme names a file of the repository, and a heading in it if it says one."""
    for link in _LINK.findall(document.read_text("utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = document.parent / name if name else document
        assert target.exists(), f"{relative(document)} links to {link}"
        assert not anchor or anchor in anchors(target), f"{relative(document)} links to {link}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_files_that_are_named_exist(document: Path) -> None:
    """`gateway/egress.py` in a text is a file under src/junto, or of the repository."""
    for name in _PATH.findall(document.read_text("utf-8")):
        assert (ROOT / "src" / "junto" / name).exists() or (ROOT / name).exists(), f"{relative(document)}: {name}"


def glossary_terms() -> list[str]:
    """Every word that the glossary explains; `find, get` are two."""
    text = GLOSSARY.read_text("utf-8")
    return [term.lower() for bold in re.findall(r"\*\*([^*]+)\*\*", text) for term in bold.split(", ")]


def test_each_word_is_explained_once() -> None:
    """One word, one meaning."""
    terms = glossary_terms()
    assert sorted(terms) == sorted(set(terms))


def test_every_item_of_the_glossary_begins_with_its_word() -> None:
    """`- **word**: meaning`."""
    items = re.findall(r"^- (.*)$", GLOSSARY.read_text("utf-8"), re.MULTILINE)
    assert all(re.match(r"\*\*[^*]+\*\*: \S", item) for item in items)


@pytest.mark.parametrize("document", [ROOT / "README.md"], ids=relative)
def test_examples_of_configuration_are_sound(document: Path) -> None:
    """What README shows is accepted as it stands."""
    examples = [text for kind, text in _FENCE.findall(document.read_text("utf-8")) if kind == "yaml"]
    assert examples
    for text in examples:
        parse(text, {"ANTHROPIC_API_KEY": "key"}, ServeOptions(), known_providers=known_providers())


def test_readme_names_every_command_and_no_other() -> None:
    """The table of commands and the program agree."""
    commands = {info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands}
    groups = {str(info.typer_instance.info.name) for info in app.registered_groups if info.typer_instance}
    section = (ROOT / "README.md").read_text("utf-8").split("## The command line")[1].split("\n## ")[0]
    assert set(re.findall(r"`junto (\w+)", section)) == commands | groups


def test_decisions_are_numbered_without_gaps() -> None:
    """0001, 0002, ... and each says its number in its title."""
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    assert all(record.read_text("utf-8").startswith(f"# {record.name[:4]} ") for record in records)


def test_operations_names_every_metric() -> None:
    """A metric without a word in docs/operations.md fails here, and so does a word without a metric."""
    sources = (ROOT / "src" / "junto" / "telemetry").glob("*families.py")
    families = "\n".join(source.read_text("utf-8") for source in sorted(sources))
    made = re.findall(r"_(counter|gauge|histogram)\(\s*\"([a-z_]+)\"", families)
    endings = {"counter": "_total", "gauge": "", "histogram": "_seconds"}
    written = re.findall(r"`(junto_[a-z_]+)`", (ROOT / "docs" / "operations.md").read_text("utf-8"))
    assert set(written) == {f"junto_{name}{endings[kind]}" for kind, name in made}
