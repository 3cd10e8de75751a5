"""The documentation is whole: links lead somewhere, every page is found, nothing is undocumented.

What pages show in consoles is run by tests/e2e/test_tutorial.py.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from heliograph.cli.reference import iter_commands
from heliograph.config import load, settings
from heliograph.connectors.registry import KINDS
from heliograph.domain.refusals import Refusal
from heliograph.domain.statuses import ERR_NAMES, STATUS_NAMES
from heliograph.gateways.http.app import SCRIPTS
from heliograph.gateways.http.errors import ERRORS
from heliograph.gateways.http.pages import PAGES
from heliograph.observability import Metrics

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES_OF_DOCS = sorted(DOCS.rglob("*.md"))
ALL = [*PAGES_OF_DOCS, *sorted(ROOT.glob("*.md")), ROOT / "bench" / "README.md"]
_LINK = re.compile(r"(?<!\!)\[[^\]\n]+\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r'\bfields(?:\.get\(|\[)"(\w+)"')


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def links_of(path: Path) -> list[str]:
    """Targets of the links to other pages, or within the page."""
    text = _FENCE.sub("", read(path))
    return [each for each in _LINK.findall(text) if not each.startswith(("http:", "https:"))]


def anchors_of(path: Path) -> set[str]:
    """What can stand behind `#` in a link to a page."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", read(path)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors_of(found), target


def test_every_page_is_found_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = [(page.parent / each.partition("#")[0]).resolve() for each in links_of(page)]
        waiting += [t for t in targets if t.suffix == ".md" and t.is_relative_to(DOCS)]
    assert set(PAGES_OF_DOCS) - seen == set()


def test_the_index_names_every_page_itself() -> None:
    """Nobody has to search from page to page."""
    index = DOCS / "README.md"
    named = {(DOCS / each.partition("#")[0]).resolve() for each in links_of(index)}
    assert {page for page in PAGES_OF_DOCS if page != index} - named == set()


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_a_page_begins_with_its_title(page: Path) -> None:
    text = read(page)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", _FENCE.sub("", text), re.MULTILINE)) == 1
    assert text.count("```") % 2 == 0


def test_every_setting() -> None:
    page = read(REFERENCE / "settings.md")
    assert [s.name for s in settings() if f"| `{s.name}` |" not in page] == []


def test_every_metric() -> None:
    page = read(REFERENCE / "metrics.md")
    shown = re.findall(r"^# TYPE (\S+)", Metrics().render().decode(), re.MULTILINE)
    own = {name for name in shown if name.startswith("heliograph_")}
    own = {name for name in own if not name.endswith("_created")}
    assert own
    assert {name for name in own if f"`{name}`" not in page} == set()


def test_every_command() -> None:
    page = read(REFERENCE / "cli.md")
    assert [name for name, _ in iter_commands() if f"# {name}\n" not in page] == []


def page_of(script: str) -> Path:
    """The page that the list of scripts names for a script."""
    row = re.search(
        rf"^\| `/sys/{script}\.php` \|.*\]\(([\w-]+\.md)[)#]",
        read(REFERENCE / "http-general.md"),
        re.MULTILINE,
    )
    assert row, f"{script}.php is not in the list of http-general.md"
    return REFERENCE / row[1]


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_endpoint(script: str) -> None:
    """Each script is in the list, and the page named there is about it."""
    assert f"{script}.php" in read(page_of(script))


def test_every_other_address() -> None:
    general = read(REFERENCE / "http-general.md")
    assert [path for path in PAGES if f"| `{path}` |" not in general] == []


def test_every_parameter() -> None:
    """Whatever the HTTP door reads from a request is written down for those who send it."""
    door = ROOT / "src" / "heliograph" / "gateways" / "http"
    names = {name for path in door.rglob("*.py") for name in _FIELD.findall(read(path))}
    pages = "\n".join(read(page) for page in REFERENCE.glob("*.md"))
    assert {"phones", "mes", "psw"} <= names
    assert {name for name in names if not re.search(rf"`{name}[`=]", pages)} == set()


@pytest.mark.parametrize("script", ERRORS)
def test_every_refusal(script: str) -> None:
    """By the number and the text that clients get: on the page of all errors or on the script's."""
    pages = read(REFERENCE / "http-errors.md") + read(page_of(script))
    told = {ERRORS[script][refusal] for refusal in Refusal}
    assert {
        (number, text)
        for number, text in told
        if not re.search(rf"^\| {number} \| `{re.escape(text)}`", pages, re.MULTILINE)
    } == set()


def test_every_status_and_every_code_in_it() -> None:
    page = read(REFERENCE / "http-status.md")
    assert [n for n in STATUS_NAMES if not re.search(rf"^\| {n} \|", page, re.MULTILINE)] == []
    assert [n for n in ERR_NAMES if not re.search(rf"^\| {n} \|", page, re.MULTILINE)] == []


def test_every_kind_of_connector() -> None:
    assert set(KINDS) - anchors_of(REFERENCE / "connectors.md") == set()


def test_every_dependency() -> None:
    """All that is installed to run has its line, and nothing that is gone has one."""
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    extras = project.get("optional-dependencies", {})
    optional = [each for group in extras.values() for each in group]
    needed = {re.split(r"[^\w-]", each)[0] for each in project["dependencies"]}
    allowed = needed | {re.split(r"[^\w-]", each)[0] for each in optional} | set(extras)
    page = read(DOCS / "explanation" / "dependencies.md")
    told = set(re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE))
    assert (needed - told, told - allowed) == (set(), set())


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_settings_that_are_shown_are_right(page: Path, tmp_path: Path) -> None:
    """Every piece of a configuration file is one that the program would take."""
    for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```$", read(page), re.M | re.S)):
        file = tmp_path / f"{number}.toml"
        file.write_text(block, encoding="utf-8")
        load(tmp_path, file, environ={}, overrides=[])


@pytest.mark.debian
def test_unit_of_systemd(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    page = read(DOCS / "howto" / "systemd.md")
    unit = re.findall(r"^```ini\n(.*?)^```$", page, re.M | re.S)[0]
    unit = unit.replace("/opt/heliograph/bin/heliograph", shutil.which("true") or "/bin/true")
    unit = re.sub(r"^(User|Group)=heliograph$", r"\1=daemon", unit, flags=re.M)
    file = tmp_path / "heliograph.service"
    file.write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "heliograph.service" not in done.stdout + done.stderr
    assert done.returncode == 0
