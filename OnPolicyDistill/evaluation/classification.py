"""Answers to labelled items, counted: accuracy with its interval, per label, confusions, costs.

Only items with a gold label are graded. A reply without a readable label is wrong, and stands in
a column of its own; it is never left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from OnPolicyDistill.evaluation.intervals import wilson_interval
from OnPolicyDistill.evaluation.labelled_report import (
    UNPARSEABLE,
    ClassificationReport,
    ErrorExample,
    LabelScore,
    Prediction,
)

MAX_EXAMPLES = 3
WORST_LABELS = 3
PREVIEW_CHARACTERS = 200


def classify(
    name: str,
    predictions: Sequence[Prediction],
    labels: Sequence[str],
    teacher: Sequence[Prediction] | None = None,
    *,
    is_free: bool = False,
) -> ClassificationReport:
    """Count a variant's answers; gold labels that `labels` does not name are added to them.

    Free answers have no labels: they are right or wrong, and some of the wrong ones are told.
    """
    if not predictions:
        raise ValueError("There are no predictions to count.")
    graded = [p for p in predictions if p.gold is not None]
    named = () if is_free else graded
    names = tuple(dict.fromkeys((*labels, *(p.gold for p in named if p.gold is not None))))
    correct = sum(p.predicted == p.gold for p in graded)
    confusion = _confusion(named, names)
    scores = _label_scores(named, names, confusion)
    n = len(predictions)
    return ClassificationReport(
        name=name,
        num_items=n,
        num_graded=len(graded),
        num_correct=correct,
        accuracy=correct / len(graded) if graded else None,
        interval=wilson_interval(correct, len(graded)) if graded else None,
        macro_f1=sum(score.f1 for score in scores) / len(scores) if scores else None,
        parse_rate=sum(p.predicted is not None for p in predictions) / n,
        teacher_agreement=None if teacher is None else agreement(predictions, teacher),
        tokens_per_answer=sum(p.num_tokens for p in predictions) / n,
        seconds_per_answer=sum(p.seconds for p in predictions) / n,
        truncated_share=sum(p.finish_reason == "length" for p in predictions) / n,
        labels=names,
        confusion=confusion,
        per_label=scores,
        wrong=_examples(p for p in graded if p.predicted != p.gold) if is_free else (),
    )


def agreement(ours: Sequence[Prediction], teacher: Sequence[Prediction]) -> float:
    """Share of the items both answered on which both labels can be read and are equal."""
    theirs: Mapping[int, str | None] = {p.index: p.predicted for p in teacher}
    shared = [p for p in ours if p.index in theirs]
    if not shared:
        raise ValueError("Both have to answer the same items.")
    equal = sum(p.predicted is not None and p.predicted == theirs[p.index] for p in shared)
    return equal / len(shared)


def _confusion(
    graded: Sequence[Prediction], labels: tuple[str, ...]
) -> tuple[tuple[int, ...], ...]:
    counts = Counter((p.gold, p.predicted) for p in graded)
    columns: tuple[str | None, ...] = (*labels, None)
    return tuple(tuple(counts[gold, column] for column in columns) for gold in labels)


def _label_scores(
    graded: Sequence[Prediction], labels: tuple[str, ...], confusion: tuple[tuple[int, ...], ...]
) -> tuple[LabelScore, ...]:
    """Scores of the labels that occur as gold, worst first."""
    if not graded:
        return ()
    # Here and not above: it takes a second, which every run and command would pay at its start.
    from sklearn.metrics import precision_recall_fscore_support  # noqa: PLC0415

    precision, recall, f1, support = precision_recall_fscore_support(
        [p.gold for p in graded],
        [UNPARSEABLE if p.predicted is None else p.predicted for p in graded],
        labels=list(labels),
        zero_division=0.0,
    )
    scores = []
    for i, label in enumerate(labels):
        if not support[i]:
            continue
        confused, count = _most_frequent_error(i, labels, confusion[i])
        scores.append(
            LabelScore(
                label=label,
                num_items=int(support[i]),
                accuracy=float(recall[i]),
                precision=float(precision[i]),
                recall=float(recall[i]),
                f1=float(f1[i]),
                confused_with=confused,
                num_confused=count,
            )
        )
    ordered = sorted(scores, key=lambda score: (score.accuracy, score.f1, score.label))
    return tuple(
        score.model_copy(update={"examples": _examples(_wrong(graded, score.label))})
        if place < WORST_LABELS
        else score
        for place, score in enumerate(ordered)
    )


def _most_frequent_error(
    gold: int, labels: tuple[str, ...], row: tuple[int, ...]
) -> tuple[str | None, int]:
    columns = (*labels, UNPARSEABLE)
    count, column = max((count if j != gold else 0, -j) for j, count in enumerate(row))
    return (columns[-column], count) if count else (None, 0)


def _wrong(graded: Sequence[Prediction], label: str) -> Iterator[Prediction]:
    return (p for p in graded if p.gold == label and p.predicted != label)


def _examples(wrong: Iterable[Prediction]) -> tuple[ErrorExample, ...]:
    """The first of some wrong answers to items with gold."""
    return tuple(
        ErrorExample(
            text=p.text[:PREVIEW_CHARACTERS],
            gold=p.gold,
            predicted=p.predicted,
            reply=p.reply[-PREVIEW_CHARACTERS:],
        )
        for p in islice(wrong, MAX_EXAMPLES)
        if p.gold is not None
    )
