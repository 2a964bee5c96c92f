"""Which inputs prompt distillation asks and holds out."""

from pathlib import Path

from OnPolicyDistill.config import PromptDistillationConfig
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import PhaseChanged
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.trainers.prompt_distillation.inputs import read_inputs


def test_parts_of_sorted_files_are_drawn_from_all_over_them_and_said(tmp_path: Path) -> None:
    files = {"inputs": "learn", "validation_inputs": "hold"}
    for name, word in files.items():
        texts = [f"{word} {language} {i}" for language in "abcd" for i in range(10)]
        (tmp_path / f"{name}.txt").write_text("\n".join(texts))
    (tmp_path / "prompt.txt").write_text("Name the language.")
    settings = PromptDistillationSettings(
        inputs=str(tmp_path / "inputs.txt"),
        validation_inputs=str(tmp_path / "validation_inputs.txt"),
        teacher_prompt=str(tmp_path / "prompt.txt"),
        max_inputs=8,
        eval_inputs=4,
    )
    run = create_run(tmp_path, PromptDistillationConfig(prompt_distillation=settings))
    reporter = Reporter(run)
    inputs = read_inputs(settings, reporter)
    again = read_inputs(settings, reporter)
    reporter.close()
    languages = {
        split: [item.text.split()[1] for item in items] for split, items in inputs.items.items()
    }
    assert languages == {"train": [*"aabbccdd"], "held_out": [*"abcd"]}
    assert inputs.items == again.items
    said = [e.detail for e in read_events(run.events_file) if isinstance(e, PhaseChanged)]
    assert said[0] == "4 of 40 held-out inputs, drawn evenly over the file by the seed."
