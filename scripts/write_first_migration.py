"""Writes the first migration anew from the tables in `storage/schema.py`.

For use until the first release only: afterwards the file is history, and a change of the tables is
a new file beside it. Run it with the project's interpreter; it prints where it wrote.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from alembic.autogenerate import api, render
from alembic.migration import MigrationContext
from alembic.operations import ops
from sqlalchemy import create_mock_engine

from heliograph.storage import tables as schema

TARGET = (
    Path(__file__).parents[1] / "src/heliograph/storage/migrations/versions/0001_first_tables.py"
)
HEAD = '''"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates everything."""
{calls}


{functions}
'''


def main() -> None:
    """Writes the file and formats it."""
    engine = create_mock_engine("sqlite://", lambda *_: None)
    context = MigrationContext.configure(dialect=engine.dialect, opts={"target_metadata": None})
    autogen = api.AutogenContext(context, metadata=schema.metadata)
    autogen.opts.update(
        {
            "sqlalchemy_module_prefix": "sa.",
            "alembic_module_prefix": "op.",
            "user_module_prefix": None,
            "render_item": None,
            "render_as_batch": False,
        }
    )
    calls, functions = [], []
    for table in schema.metadata.sorted_tables:
        steps: list[ops.MigrateOperation] = [ops.CreateTableOp.from_table(table)]
        steps += [ops.CreateIndexOp.from_index(i) for i in sorted(table.indexes, key=_name)]
        lines = [line for step in steps for line in render.render_op(autogen, step)]
        body = "\n".join(lines).replace("\n", "\n    ")
        calls.append(f"    _create_{table.name}()")
        functions.append(f"def _create_{table.name}() -> None:\n    {body}\n")
    TARGET.write_text(HEAD.format(calls="\n".join(calls), functions="\n\n".join(functions)))
    for command in (["format", "-q"], ["check", "-q", "--fix"], ["format", "-q"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(TARGET)], check=True)
    print(TARGET)


def _name(index: object) -> str:
    return str(getattr(index, "name", ""))


if __name__ == "__main__":
    main()
