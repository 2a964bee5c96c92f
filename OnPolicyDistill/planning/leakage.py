"""What the check says of held-out lines that are trained on, and what to type against it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.datasets.overlap import MOST_SHARED, shares_too_much
from OnPolicyDistill.planning.checks import Checkup

LEAKED = "leaked"
FEW_LEFT = "A few may be; take them out, or held-out numbers say less than they seem to."


@dataclass(frozen=True, slots=True)
class Files:
    """The two files of a run: where they are, and the setting that names the held-out one.

    `noun` is what their lines are called; `few` what is done about a few leaked ones.
    """

    training: str
    held_out: str
    field: str
    noun: str
    few: str = FEW_LEFT


def check_leakage(check: Checkup, files: Files) -> None:
    """Compare what both files say: above a share of the held-out lines it is an error."""
    report = check.validation
    if report is None or not report.num_leaked:
        return
    counted = f"{report.num_leaked:,} of {report.num_prompts:,} held-out {files.noun}"
    message = f"{counted} are trained on as well."
    if not shares_too_much(report.num_leaked, report.num_prompts):
        check.add("warning", LEAKED, files.field, message, files.few)
        return
    if Path(files.held_out).resolve() == Path(files.training).resolve():
        message = f"Training and held-out {files.noun} are the same file."
    message += f" At most {100 * MOST_SHARED:.0f} % may be, or nothing tells learning from memory."
    is_all = check.prompts is None or check.prompts.num_prompts <= report.num_leaked
    check.add("error", LEAKED, files.field, message, _what_to_type(files, is_all))


def _what_to_type(files: Files, is_all: bool) -> str:
    """The commands that make sets without what both have; not all of a set can be taken out."""
    stem = Path(files.training).stem
    separate = _typed("separate", files.training, files.held_out, f"{stem}-apart.jsonl")
    parts = (f"{stem}-training.jsonl", f"{stem}-held-out.jsonl")
    split = f"Hold back a tenth: {_typed('split', files.training, *parts)}; then name both."
    return split if is_all else f"Take them out of training: {separate}; then name that. {split}"


def _typed(verb: str, *names: str) -> str:
    return shlex.join(("opd", "data", verb, *names))
