"""What a labelled evaluation leaves on disk, and how it is read back.

RUN/evaluation/report.json      EvaluationReport
RUN/evaluation/confusion.png    a heat map of each variant's confusions
RUN/evaluation/<variant>.jsonl  answers, one Prediction a line, in the order they came
RUN/evaluation/<variant>.json   the same in one piece, as prompt distillation keeps them

Only values: it counts nothing, and loads neither MLX nor a plotting library.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from OnPolicyDistill.errors import InputError
from OnPolicyDistill.files import write_text_atomically

FOLDER = "evaluation"
REPORT = "report.json"
HEAT_MAP = "confusion.png"
UNPARSEABLE = "(unparseable)"


class Frozen(BaseModel):
    """A value that crosses a file or a socket."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Prediction(Frozen):
    """One answer; `predicted` is None where no label could be read from the reply.

    `seconds` is the wall clock since the answer before it ended (answers are decoded side by side),
    so that the mean over all is the decoding's wall clock over the answers; loading is excluded.
    """

    index: int
    text: str
    gold: str | None
    predicted: str | None
    reply: str
    num_tokens: int
    seconds: float
    finish_reason: str


class Interval(Frozen):
    """A 95 % interval."""

    low: float
    high: float


class ErrorExample(Frozen):
    """A wrong answer."""

    text: str
    gold: str
    predicted: str | None
    reply: str


class LabelScore(Frozen):
    """How one label fares; accuracy is its recall. `confused_with` is its most frequent error."""

    label: str
    num_items: int
    accuracy: float
    precision: float
    recall: float
    f1: float
    confused_with: str | None
    num_confused: int
    examples: tuple[ErrorExample, ...] = ()


class ClassificationReport(Frozen):
    """What one variant reaches.

    `confusion[i][j]` counts items of `labels[i]` answered with `labels[j]`; the last column holds
    unparseable replies. `per_label` lists the worst first. `teacher_agreement` is the share of
    items on which both answers can be read and are equal, whatever the gold label. Accuracy and
    macro F1 are None without gold labels. Free answers have no labels, and `wrong` has the first of
    those that are wrong.
    """

    name: str
    num_items: int
    num_graded: int
    num_correct: int
    accuracy: float | None
    interval: Interval | None
    macro_f1: float | None
    parse_rate: float
    teacher_agreement: float | None
    tokens_per_answer: float
    seconds_per_answer: float
    truncated_share: float
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    per_label: tuple[LabelScore, ...]
    wrong: tuple[ErrorExample, ...] = ()


class PairComparison(Frozen):
    """Accuracy of `first` minus `second`, with the counts of items only one of them has right.

    `better` names a variant only where the whole interval is on one side of 0.
    """

    first: str
    second: str
    num_items: int
    first_accuracy: float
    second_accuracy: float
    difference: float
    interval: Interval
    only_first: int
    only_second: int
    better: str | None


class EvaluationReport(Frozen):
    """Everything a labelled evaluation found; `files` are the variants' answers, in order."""

    run_id: str
    inputs: str
    labels: tuple[str, ...]
    num_items: int
    teacher: str | None
    variants: tuple[ClassificationReport, ...]
    comparisons: tuple[PairComparison, ...]
    files: tuple[str, ...]
    grading: Literal["labels", "exact", "contains", "boxed"] = "labels"


class MeasuredVariant(Frozen):
    """A variant's report and answers in one file."""

    report: ClassificationReport
    predictions: tuple[Prediction, ...]


class SavedEvaluation(Frozen):
    """A report with the answers of every variant, in the order of its variants."""

    report: EvaluationReport
    answers: dict[str, tuple[Prediction, ...]]


def read_report(path: Path) -> EvaluationReport:
    """Read a report.

    Raises:
        InputError: there is none, or it is damaged.
    """
    try:
        return EvaluationReport.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        message = f"There is no report of an evaluation in {path.parent}."
        action = (
            "Name a run of an evaluation or of prompt distillation that has measured something."
        )
        raise InputError(message, action) from error
    except (OSError, ValidationError) as error:
        message = f"{path} is no report of an evaluation."
        raise InputError(message, "Evaluate again.") from error


def answers_of(folder: Path, report: EvaluationReport) -> dict[str, tuple[Prediction, ...]]:
    """Read the answers of every variant of a report that lies in `folder`.

    Raises:
        InputError: a file is missing or damaged.
    """
    return {
        variant.name: tuple(read_predictions(folder / Path(file).name))
        for variant, file in zip(report.variants, report.files, strict=True)
    }


def read_predictions(path: Path) -> list[Prediction]:
    """Read a file of answers, in the order of the items.

    Raises:
        InputError: it is missing, or a line is damaged.
    """
    action = "Delete the file and evaluate again."
    try:
        data = path.read_bytes()
        if path.suffix == ".json":
            return sorted(MeasuredVariant.model_validate_json(data).predictions, key=_place)
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} holds no answers of an evaluation.", action) from error
    predictions = []
    for line, text in enumerate(data.splitlines(), start=1):
        try:
            predictions.append(Prediction.model_validate_json(text))
        except ValidationError as error:
            message = f"{path}, line {line}: this is no answer of an evaluation."
            raise InputError(message, action) from error
    return sorted(predictions, key=_place)


def _place(prediction: Prediction) -> int:
    return prediction.index


def save_evaluation(path: Path, saved: SavedEvaluation) -> None:
    """Write report and answers into one file."""
    write_text_atomically(path, saved.model_dump_json(indent=1))


def load_evaluation(path: Path) -> SavedEvaluation:
    """Read a run's folder with its evaluation, a report.json, or a file that holds it all.

    Raises:
        InputError: it is none of these, or damaged.
    """
    if path.is_dir():
        path = path / FOLDER / REPORT
    if path.name == REPORT:
        report = read_report(path)
        return SavedEvaluation(report=report, answers=answers_of(path.parent, report))
    try:
        return SavedEvaluation.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        message = f"{path} is no saved evaluation."
        raise InputError(message, "Name a run, its folder, or a file of opd evaluate --out.") from (
            error
        )


def gathered(sources: Mapping[str, SavedEvaluation]) -> dict[str, tuple[Prediction, ...]]:
    """The answers of all variants of all sources; of several sources, behind their names."""
    return {
        variant if len(sources) == 1 else f"{name}: {variant}": answers
        for name, saved in sources.items()
        for variant, answers in saved.answers.items()
    }
