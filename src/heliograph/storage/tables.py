"""All tables together: importing this module knows every one of them.

The tables are described in several modules; migrations and their test need the whole.
"""

from __future__ import annotations

from heliograph.storage import schema_books, schema_campaigns, schema_services
from heliograph.storage.schema import metadata

__all__ = ["metadata", "schema_books", "schema_campaigns", "schema_services"]
