"""What the documentation shows is what happens: its commands are run and their output compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.harness.console import Console, find_blocks

ROOT = Path(__file__).parents[2]


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    """A reader in an empty folder."""
    reader = Console(tmp_path, ports=(8080, 8090, 8443, 2775))
    yield reader
    reader.close()


@pytest.mark.parametrize(
    ("page", "count"),
    [
        ("docs/tutorial/first-message.md", 20),
        ("docs/howto/tls.md", 5),
        ("docs/howto/read-a-timeline.md", 3),
        ("docs/howto/upgrade-and-backup.md", 3),
        ("README.md", 5),
    ],
)
def test_page_shows_what_happens(console: Console, page: str, count: int) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    if name := console.missing(text):
        pytest.skip(f"{name} is not installed")
    assert console.follow(text) >= count


def test_blocks_are_found_with_what_is_said_about_them() -> None:
    page = (
        "text\n\n<!-- terminal: one -->\n```console\n$ run \\\n    --fast\nyes\n```\n"
        "```console\n$ a\n$ b\n1\n2\n```\n"
    )
    first, second = find_blocks(page)
    assert (first.role, first.name) == ("terminal", "one")
    assert list(first.commands()) == [("run --fast", "yes\n")]
    assert list(second.commands()) == [("a", ""), ("b", "1\n2\n")]
