"""/health says when the database can be written again, although nobody writes."""

from __future__ import annotations

from pathlib import Path

from tests.unit.services.rig import open_rig

from heliograph.storage.journal import StorageDown


async def test_a_gateway_at_rest_is_well_again_by_itself(tmp_path: Path) -> None:
    """A balancer that goes by /health sends it nothing to try with."""
    async with open_rig(tmp_path) as rig:
        rig.runtime.base.journal._note_state(StorageDown("disk full"))
        assert rig.runtime.health()["checks"]["journal"] == "the database can not be written"
        await rig.until(lambda: rig.runtime.health()["ok"])
