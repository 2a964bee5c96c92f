"""A pipeline killed in the middle of a stage ends with the bytes of one that never was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from OnPolicyDistill.config import RunConfig
from OnPolicyDistill.pipelines.directory import PipelineDirectory, list_pipelines
from OnPolicyDistill.pipelines.runner import Launch, adapter_of
from OnPolicyDistill.pipelines.stages import stages_of
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.trainers.sft import train
from tests.backend.tiny import write_jsonl, write_tiny_model
from tests.pipelines.conftest import run_ids, work

PAIRS = [{"prompt": f"day {day}", "completion": f"1998-03-0{day}"} for day in range(1, 9)]
HELD_OUT = [{"prompt": f"day {day}", "completion": f"1998-03-{day}"} for day in range(10, 13)]
NUM_STEPS = 40


def two_stages(folder: Path) -> Path:
    shared = {
        "model": str(write_tiny_model(folder / "model")),
        "conversations": str(write_jsonl(folder / "c.jsonl", PAIRS)),
        "validation_conversations": str(write_jsonl(folder / "v.jsonl", HELD_OUT)),
        "batch_size": 2,
        "gradient_accumulation_steps": 1,
        "learning_rate": 0.01,
        "lora.rank": 2,
    }
    first = {**shared, "num_steps": 4}
    second = {**shared, "num_steps": NUM_STEPS, "checkpoint_every": 5, "eval_every": 20}
    stages = [
        {"name": "first", "method": "sft", "settings": first},
        {"name": "second", "method": "sft", "settings": second, "from": "first"},
    ]
    file = folder / "pipeline.yaml"
    file.write_text(yaml.safe_dump({"name": "two", "stages": stages}), encoding="utf-8")
    return file


def test_a_pipeline_killed_in_a_stage_ends_with_the_same_adapter(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    command = [sys.executable, "-m", "OnPolicyDistill", "pipeline", "run"]
    runner = subprocess.Popen(
        [*command, str(two_stages(tmp_path)), "--anyway", "--workspace", str(workspace)],
        stderr=subprocess.DEVNULL,
    )
    run = killed_in_the_second_stage(runner, workspace)
    assert run.state() == "interrupted"
    (pipeline,) = list_pipelines(workspace)
    assert pipeline.state(pipeline.record()) == "interrupted"
    first = run_ids(pipeline)[0]
    heard = work(pipeline, launch=Launch(anyway=True))
    assert heard.stages == ["first finished", "second running"]
    assert run_ids(pipeline) == [first, run.run_id]
    assert [event.kind for event in heard.events].count("run_resumed") == 1
    whole = create_run(workspace, second_config(pipeline))
    train(whole)
    ours, theirs = last_checkpoint(run), last_checkpoint(whole)
    assert ours is not None
    assert theirs is not None
    # The same program twice: bytes may be asked for.
    for name in ("adapters.safetensors", "optimizer.safetensors"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def second_config(pipeline: PipelineDirectory) -> RunConfig:
    first = pipeline.run(str(run_ids(pipeline)[0]))
    return stages_of(pipeline.settings())[1].settled(adapter_of(first))


def killed_in_the_second_stage(runner: subprocess.Popen[bytes], workspace: Path) -> RunDirectory:
    """Kill runner and worker with SIGKILL once the second stage has a checkpoint."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert runner.poll() is None, "it ended before it could be killed"
        for pipeline in list_pipelines(workspace):
            second = run_ids(pipeline)[1]
            run = None if second is None else pipeline.run(second)
            worker = None if run is None else run.worker()
            if run is not None and worker is not None and last_checkpoint(run) is not None:
                runner.kill()
                os.kill(worker.pid, signal.SIGKILL)
                runner.wait(20)
                while worker.is_alive():
                    time.sleep(0.01)
                return run
        time.sleep(0.005)
    raise AssertionError("the second stage never had a checkpoint")
