"""Beginning a pipeline: what cannot work is refused before anything runs."""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.errors import ConfigError, InputError
from OnPolicyDistill.pipelines.directory import (
    PipelineDirectory,
    create_pipeline,
    dump_pipeline,
    list_pipelines,
)
from OnPolicyDistill.pipelines.reading import Source, parse_pipeline
from OnPolicyDistill.pipelines.stages import Stage, settle, stages_of
from OnPolicyDistill.pipelines.table import PipelineTable, write_table
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.settings.pipeline import PipelineSettings


def settled_pipeline(source: Source) -> PipelineSettings:
    """Parse and settle a pipeline's text.

    Raises:
        ConfigError: a setting is wrong; names its line.
    """
    return settle(parse_pipeline(source), source)


def begun_before(workspace: Path, settings: PipelineSettings) -> PipelineDirectory | None:
    """The newest pipeline of exactly these settings, if it is not finished; else None."""
    text = dump_pipeline(settings)
    for pipeline in list_pipelines(workspace):
        if pipeline.config_file.read_text(encoding="utf-8") == text:
            return None if pipeline.record().state == "finished" else pipeline
    return None


def begin_pipeline(
    workspace: Path, settings: PipelineSettings, is_fresh: bool = False
) -> tuple[PipelineDirectory, list[str]]:
    """Make a pipeline after a look at every stage; returns what should be known of them as well.

    Raises:
        ConfigError: something would stop a stage; names the stage.
    """
    warnings = [
        warning for stage in stages_of(settings) for warning in check_stage(stage, workspace)
    ]
    return create_pipeline(workspace, settings, is_fresh), list(dict.fromkeys(warnings))


def check_stage(stage: Stage, workspace: Path) -> list[str]:
    """Check models, files and disk of a stage; the adapter it goes on from does not exist yet.

    Raises:
        ConfigError: something would stop it.
    """
    findings = check_run(stage.config, workspace).findings
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        raise ConfigError(
            f"Stage {stage.name}: {errors[0].message}",
            errors[0].fix,
            tuple((error.field, error.message) for error in errors),
        )
    return [f"Stage {stage.name}: {finding.message} {finding.fix}" for finding in findings]


def write_again(pipeline: PipelineDirectory) -> PipelineTable:
    """Write a finished pipeline's table again from the files of its runs.

    Raises:
        InputError: it is not finished, or compares nothing.
    """
    record = pipeline.record()
    if record.state != "finished":
        raise InputError(
            f"Pipeline {pipeline.pipeline_id} is {pipeline.state(record)}: it has no table yet.",
            f"Go on with: opd pipeline resume {pipeline.pipeline_id}",
        )
    table = write_table(pipeline, stages_of(pipeline.settings()), record)
    if table is None:
        raise InputError(
            f"Pipeline {pipeline.pipeline_id} compares nothing.", "Add compare to its file."
        )
    return table
