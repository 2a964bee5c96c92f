"""What runs must leave free, set by the user and heeded from then on."""

from __future__ import annotations

import httpx
import pytest

from backend.settings import BackendSettings
from backend.system.reserves import RESERVES_FILE, Reserves, load_reserves, save_reserves
from backend.system.room import LowMemoryError, check_disk, check_memory
from OnPolicyDistill.errors import DiskFullError


async def test_reserves_are_kept_and_heeded(
    client: httpx.AsyncClient, settings: BackendSettings
) -> None:
    assert (await client.get("/api/reserves")).json() == {"memory_gb": 0.0, "disk_gb": 0.0}
    check_disk(settings)
    check_memory(settings)
    answer = await client.put("/api/reserves", json={"memory_gb": 999, "disk_gb": 99_999})
    assert answer.status_code == 200
    assert (await client.get("/api/reserves")).json() == {"memory_gb": 999.0, "disk_gb": 99_999.0}
    with pytest.raises(DiskFullError, match="at least 99999 GB"):
        check_disk(settings)
    with pytest.raises(LowMemoryError, match="999 GB are to stay free"):
        check_memory(settings)


@pytest.mark.parametrize("value", [-1, 1e10, "much", None])
async def test_reserves_that_make_no_sense_are_refused(
    client: httpx.AsyncClient, value: object
) -> None:
    answer = await client.put("/api/reserves", json={"memory_gb": value, "disk_gb": 1})
    assert answer.status_code == 422
    assert (await client.get("/api/reserves")).json()["disk_gb"] == 0.0


def test_a_damaged_file_counts_as_none(settings: BackendSettings) -> None:
    settings.workspace.mkdir()
    save_reserves(settings, Reserves(memory_gb=5, disk_gb=5))
    (settings.workspace / RESERVES_FILE).write_text('{"memory_gb": 5')
    assert load_reserves(settings) == Reserves(memory_gb=0, disk_gb=0)
