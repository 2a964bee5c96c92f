"""Runs of different methods, compared over HTTP."""

from __future__ import annotations

import httpx

from backend.settings import BackendSettings
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.directory import create_run


async def test_settings_of_one_name_are_one_row_across_methods(
    client: httpx.AsyncClient, settings: BackendSettings
) -> None:
    configs = (
        {"method": "sft", "sft": {"num_steps": 7, "batch_size": 4, "lora": {"rank": 8}}},
        {"method": "grpo", "grpo": {"num_steps": 9, "batch_size": 4, "lora": {"rank": 2}}},
    )
    runs = [create_run(settings.workspace, parse_config(config)).run_id for config in configs]
    told = (await client.get("/api/comparison", params={"run": runs})).json()
    rows = {row["key"]: row["values"] for row in told["settings"]}
    assert rows["method"] == ["sft", "grpo"]
    assert rows["sft.num_steps"] == [7, 9]
    assert rows["sft.lora.rank"] == [8, 2]
    assert not {"grpo.num_steps", "sft.batch_size", "grpo.batch_size", "sft.seed"} & rows.keys()
    assert rows["grpo.num_completions"] == [None, 8]
