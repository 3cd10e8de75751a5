"""The order of the house: who imports whom, how long things are, what is documented.

Rules that only a reviewer keeps are soon broken; these are kept by a test. The reasons stand in
docs/explanation/architecture.md.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "heliograph"
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70
MAX_COLUMNS = 100

# A room may import the rooms named here, and itself.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "protocols": (),
    "domain": ("protocols.sms",),
    "config": ("domain", "config_services"),
    "config_services": (),
    "observability": ("domain",),
    "targets": (),
    "httpclient": ("targets", "config"),
    "storage": ("domain", "protocols.sms"),
    "queueing": ("domain",),
    "connectors": ("protocols", "domain", "httpclient"),
    "services": (
        "connectors.base",
        "storage",
        "queueing",
        "domain",
        "protocols.sms",
        "config",
        "config_services",
        "observability",
    ),
    "webhooks": (
        "protocols.forms","services", "storage.outbox", "domain", "httpclient", "targets", "config",
                 "observability"),
    "gateways": ("services", "domain", "protocols", "config", "observability"),
    "runtime": ("",),
    "cli": ("",),
}  # fmt: skip

# Words of one protocol live in its own rooms only.
WORDS = {
    r"\b(psw|fmt)\b": (
        "gateways/http",
        "protocols/forms",
        "protocols/soap",
        "cli",
        "domain/accounts.py",
        "gateways/smpp/ports.py",  # the same words of the authentication
        "observability.py",  # names what it keeps out of logs
    ),
    r"\b(submit_sm|deliver_sm|command_status|ESME_R\w+)\b": (
        "protocols/smpp",
        "gateways/smpp",
        "connectors",
        "cli",
    ),
}
BLOCKING = {"asyncio", "socket", "sqlite3", "sqlalchemy", "asyncpg", "aiohttp", "logging", "time"}


def find_modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        if "migrations" in path.parts:
            continue
        yield ".".join(path.relative_to(SOURCE).with_suffix("").parts), path


MODULES = list(find_modules())


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "heliograph":
                yield from (f"heliograph.{alias.name}" for alias in node.names)


def within(name: str, room: str) -> bool:
    return room in ("", name) or name.startswith(room + ".")


@pytest.mark.parametrize(("name", "path"), MODULES, ids=lambda v: v if isinstance(v, str) else "")
def test_imports_go_one_way(name: str, path: Path) -> None:
    room = name.split(".", maxsplit=1)[0]
    if room in ("__init__", "__main__"):
        return
    allowed = (room, *MAY_IMPORT[room])
    for imported in imports_of(path):
        if imported.startswith("heliograph."):
            target = imported.removeprefix("heliograph.")
            if target == "__version__":
                continue
            assert any(within(target, a) for a in allowed), f"{name} imports {imported}"
        elif room in ("protocols", "domain"):
            assert imported.split(".")[0] not in BLOCKING, f"{name} imports {imported}"


@pytest.mark.parametrize("path", [p for _, p in MODULES], ids=lambda p: p.stem)
def test_words_stay_in_their_rooms(path: Path) -> None:
    where = path.relative_to(SOURCE).as_posix()
    said = "\n".join(words_of(ast.parse(path.read_text(encoding="utf-8"))))
    for word, rooms in WORDS.items():
        if not where.startswith(rooms):
            found = re.search(word, said)
            assert found is None, f"{where} says {found and found[0]}"


def words_of(tree: ast.Module) -> Iterator[str]:
    """Names and texts of a module, its docstrings left out."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in docstrings:
                yield node.value
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def python_files() -> list[Path]:
    folders = ("src", "tests", "bench", "scripts")
    return [p for f in folders for p in sorted((ROOT / f).rglob("*.py"))
            if "node_modules" not in p.parts]  # fmt: skip


def test_what_is_compiled_is_there() -> None:
    """A module that was moved would go on as it is written, and nobody would be told."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    listed = wheel["hooks"]["mypyc"]["include"]
    assert [name for name in listed if not (ROOT / name).is_file()] == []
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("path", python_files(), ids=lambda p: p.stem)
def test_nothing_is_too_long(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    # A migration repeats the schema as it was, table by table, and is never read for pleasure.
    is_migration = path.parent.name == "versions"
    assert is_migration or len(lines) <= MAX_FILE_LINES, (
        f"{path.name} has {len(lines)} lines: divide the room"
    )
    for number, whole in enumerate(lines, 1):
        line = whole.split("  # type: ignore")[0]  # a mark for the checker is not read
        assert len(line) <= MAX_COLUMNS, f"{path.name}:{number} is {len(line)} columns wide"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert is_migration or length <= MAX_FUNCTION_LINES, (
                f"{path.name}:{node.name} has {length} lines"
            )
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text) or path == Path(__file__)


@pytest.mark.parametrize("path", [p for _, p in MODULES], ids=lambda p: p.stem)
def test_every_file_says_what_it_is_about(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not tree.body:
        return
    assert ast.get_docstring(tree), f"{path} begins without a word"
    exported = next(
        (
            [ast.literal_eval(e) for e in node.value.elts]
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "__all__"
            and isinstance(node.value, ast.List)
        ),
        [],
    )
    assert exported == sorted(exported, key=lambda n: (not n.isupper(), n[0].islower(), n))


def test_no_trace_of_a_machine() -> None:
    traces = re.compile(r"/(?:work|farm|root|home/\w+)/|10\.\d+\.\d+\.\d+:\d{4}")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and path != Path(__file__):
            found = traces.search(path.read_text(encoding="utf-8", errors="ignore"))
            assert found is None, f"{name} names {found and found[0]}"
