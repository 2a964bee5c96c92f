"""`opd demo pipeline`: six variants of three tiny families, compared."""

from __future__ import annotations

from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    default_workspace,
    print_json,
    print_note,
    print_text,
)
from OnPolicyDistill.cli.starting import AnywayOption


def pipeline(
    anyway: AnywayOption = False, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Fine-tune and reward three embedded families, and compare the six adapters."""
    from OnPolicyDistill.cli.pipeline_lines import StageLines
    from OnPolicyDistill.demo.pipeline_story import run_pipeline_demo
    from OnPolicyDistill.macos import awake
    from OnPolicyDistill.pipelines.directory import find_pipeline
    from OnPolicyDistill.runs.reporting import StopRequest

    folder, stop = workspace or default_workspace(), StopRequest()
    with awake(), stop.on_signals():
        result = run_pipeline_demo(folder, StageLines(), stop, anyway=anyway)
    if json:
        print_json(result.model_dump(mode="json"))
        return
    found = find_pipeline(folder, result.pipeline_id)
    print_text((found.path / "table.txt").read_text(encoding="utf-8").rstrip())
    print_text(f"All of it took {result.seconds:.0f} s.")
    print_note(f"The table is in {found.path} as table.json, .csv, .txt and .png")
