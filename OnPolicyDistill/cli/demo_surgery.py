"""`opd demo surgery`: a model that has only read comes to see, with numbers of how well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OnPolicyDistill.cli.demo_run import play
from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    print_json,
    print_table,
    print_text,
)
from OnPolicyDistill.cli.starting import AnywayOption

if TYPE_CHECKING:
    from OnPolicyDistill.demo.surgery_story import SurgeryDemoResult


def surgery(
    anyway: AnywayOption = False, workspace: WorkspaceOption = None, json: JsonOption = False
) -> None:
    """Put an embedded vision tower on a model that has only read, and teach it to see."""
    load_mlx()
    from OnPolicyDistill.demo.surgery_story import run_surgery_demo, surgery_demo_config

    result, _ = play(surgery_demo_config(), run_surgery_demo, anyway, workspace)
    if json:
        print_json(result.model_dump(mode="json"))
    else:
        print_surgery_story(result)


def print_surgery_story(result: SurgeryDemoResult) -> None:
    """How held-out questions are answered, what stayed as it was, and where all of it lies."""
    from OnPolicyDistill.demo.surgery_story import summary_of

    head, *rows = summary_of(result)
    print_text("")
    print_table(head, rows)
    print_text("")
    kept = result.language_model_unchanged and result.vision_tower_unchanged
    print_text(
        f"The projector learned for {result.train_seconds:.0f} s ({result.seconds:.0f} s in all). "
        f"Language model and tower are {'the same to the byte' if kept else 'CHANGED'}."
    )
    print_text(f"Proof of learning: {'passed' if result.proof_passed else 'FAILED'}.")
    print_text(f"The grafted model: {result.grafted_path}")
    print_text(f"Pictures with the answers to them: {result.page_path}")
