"""The demonstration of pipelines: three tiny families, each fine-tuned and then rewarded.

It is the shipped pipeline three-families-demo, run as any other: every stage an ordinary run in a
process of its own, every number read from what those runs measured. Beside the six variants stand
rules that need no model, counted from the same held-out items.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.evaluation.baselines import Baseline
from OnPolicyDistill.pipelines.beginning import begin_pipeline, begun_before, settled_pipeline
from OnPolicyDistill.pipelines.reading import read_source
from OnPolicyDistill.pipelines.runner import Launch, Runner, Watcher
from OnPolicyDistill.pipelines.table import VariantRow, read_table
from OnPolicyDistill.settings.pipeline import PipelineSettings

DEMO = Path("three-families-demo")


class PipelineDemoResult(BaseModel):
    """Everything the demonstration measured; `seconds` is the wall clock of this call.

    `winner` is null where no variant is better than every other beyond chance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline_id: str
    seconds: float
    num_items: int
    best: str
    winner: str | None
    variants: tuple[VariantRow, ...]
    baselines: tuple[Baseline, ...]
    table_path: str


def pipeline_demo_settings() -> PipelineSettings:
    """Return the shipped demonstration with every setting of its stages.

    Raises:
        ConfigError: an embedded model or a file of the task is not there.
    """
    return settled_pipeline(read_source(DEMO))


def run_pipeline_demo(
    workspace: Path,
    watcher: Watcher,
    stop: Callable[[], bool],
    settings: PipelineSettings | None = None,
    anyway: bool = False,
) -> PipelineDemoResult:
    """Run the demonstration, or `settings` for a shorter one, and read what came of it.

    One that broke off is gone on with; nothing is taken over from a finished one.

    Raises:
        StoppedError: it was paused; the same call goes on with it.
        DistillError: a stage failed; its state says why.
    """
    started = time.perf_counter()
    settings = settings or pipeline_demo_settings()
    pipeline = begun_before(workspace, settings)
    if pipeline is None:
        pipeline, _ = begin_pipeline(workspace, settings, is_fresh=True)
    Runner(pipeline, watcher, stop, Launch(anyway)).run()
    table = read_table(pipeline)
    if table is None:
        raise RunError(f"Pipeline {pipeline.pipeline_id} left no table.", "Start it again.")
    return PipelineDemoResult(
        pipeline_id=pipeline.pipeline_id,
        seconds=time.perf_counter() - started,
        num_items=table.num_items,
        best=table.best,
        winner=table.winner,
        variants=table.variants,
        baselines=table.baselines,
        table_path=str(pipeline.path / "table.json"),
    )
