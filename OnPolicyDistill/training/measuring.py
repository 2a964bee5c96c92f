"""How far an export is from the adapter it was made of, on held-out text.

The adapter's model is asked first and leaves its final hidden states and its head behind, so that
it can be unloaded before the export is opened: two models are never in memory at once. With p the
model with its adapter and q the export, over the completion tokens of all rows together,

    KL(p || q) = mean of sum_v p(v) (log p(v) - log q(v)),   loss of q = mean of -log q(token),

both exact over the vocabulary, in nats a token. Given completions are those of the file; others
are sampled by p at temperature 1, where the adapter's gain over its base model estimates
KL(p || base).

Letters: N completion positions of a batch, D hidden width, P prompts, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from OnPolicyDistill.adapters.lora import adapter_disabled
from OnPolicyDistill.adapters.measured import Accuracies, Difference, Figure
from OnPolicyDistill.arrays import float_list
from OnPolicyDistill.evaluation.heldout import HeldOut, complete
from OnPolicyDistill.evaluation.intervals import resample, sums_by_row, wilson_interval
from OnPolicyDistill.generation.request import NO_HOOKS
from OnPolicyDistill.generation.sampling import GREEDY, THE_POLICY, SamplingSettings
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.losses.cross_entropy import label_logprobs
from OnPolicyDistill.losses.targets import HiddenTargets
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import Policy, vocabulary_head
from OnPolicyDistill.rollout import EncodedPrompt, PackedBatch, Rollout
from OnPolicyDistill.settings.measuring import MeasureSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.training.conversation_rows import ConversationRow, pack_rows
from OnPolicyDistill.training.held_out_text import HeldOutText

Progress = Callable[[str, int, int], None]
Marks = tuple[float | None, ...]
Floats = NDArray[np.float64]
# A difference in nats a token that is a loss where the adapter gains nothing to compare it with.
FELT_NATS = 0.01
ADAPTER, EXPORT = "measuring the adapter", "measuring the export"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the model said with its adapter, and without it, once it is unloaded.

    `hidden` has an array (N, D) for each batch of `rows`; `base` is -log p of each row's tokens.
    """

    rows: tuple[ConversationRow, ...]
    hidden: tuple[mx.array, ...]
    head: VocabularyHead
    base: tuple[float, ...]
    base_marks: Marks
    adapter_marks: Marks


def keep(policy: Policy, text: HeldOutText, measuring: MeasureSettings, progress: Progress) -> Kept:
    """Ask a policy with its adapter, and with the adapter off.

    Raises:
        ModelError: its logits cannot be computed from its hidden states.
        StoppedError: somebody wants it to stop.
    """
    head = vocabulary_head(policy)
    rows = text.rows or _sampled(policy, text, measuring)
    hidden: list[mx.array] = []
    base: list[float] = []
    for some, batch in _batches(rows, measuring, progress, ADAPTER):
        hidden.append(_states(policy, batch))
        with adapter_disabled(policy.model):
            logprobs = float_list(label_logprobs(_states(policy, batch), head, batch.labels))
        base += [-total for total in sums_by_row(logprobs, _lengths(some))]
    marks = [_marks(policy, text, measuring, is_base) for is_base in (True, False)]
    return Kept(tuple(rows), tuple(hidden), head, tuple(base), marks[0], marks[1])


def compare(
    kept: Kept, text: HeldOutText, export: Policy, measuring: MeasureSettings, progress: Progress
) -> Difference:
    """Compare an export with what its adapter's model said.

    Raises:
        ModelError: its logits cannot be computed from its hidden states.
        StoppedError: somebody wants it to stop.
    """
    head = vocabulary_head(export)
    sums: dict[str, list[float]] = {"adapter": [], "export": [], "kl": []}
    batches = _batches(kept.rows, measuring, progress, EXPORT)
    for (some, batch), hidden in zip(batches, kept.hidden, strict=True):
        targets = HiddenTargets(hidden, kept.head)
        compared = compare_distributions(_states(export, batch), head, targets, batch.labels)
        columns = {
            "adapter": -compared.teacher_logprob,
            "export": -compared.student_logprob,
            "kl": compared.forward_kl,
        }
        for name, column in columns.items():
            sums[name] += sums_by_row(float_list(column), _lengths(some))
    marks = _marks(export, text, measuring, is_base=False)
    values = np.array([_lengths(kept.rows), kept.base, *sums.values()], float)
    by_prompt = _by_prompt(values, [row.conversation for row in kept.rows])
    accuracy = _accuracies((kept.base_marks, kept.adapter_marks, marks), measuring.seed)
    return _difference(by_prompt, accuracy, text.in_words, measuring)


def _sampled(
    policy: Policy, text: HeldOutText, measuring: MeasureSettings
) -> tuple[ConversationRow, ...]:
    """Completions that the policy samples of the prompts, as rows."""
    rollouts = _complete(policy, text.prompts, measuring, measuring.max_tokens, THE_POLICY)
    return tuple(
        ConversationRow(
            rollout.token_ids,
            tuple(range(len(rollout.prompt_ids), len(rollout.token_ids))),
            prompt.index,
        )
        for prompt, rollout in zip(text.prompts, rollouts, strict=True)
    )


def _complete(
    policy: Policy,
    prompts: Sequence[EncodedPrompt],
    measuring: MeasureSettings,
    max_tokens: int,
    sampling: SamplingSettings,
) -> list[Rollout]:
    held_out = HeldOut(tuple(prompts), max_tokens, measuring.batch_size, measuring.seed)
    return complete(policy, held_out, sampling, NO_HOOKS)


def _marks(policy: Policy, text: HeldOutText, measuring: MeasureSettings, is_base: bool) -> Marks:
    """Marks of greedy completions, one a prompt; none where nothing can be marked."""
    if text.mark is None:
        return ()
    asked = [prompt for prompt in text.prompts if prompt.answer is not None]
    with adapter_disabled(policy.model) if is_base else nullcontext():
        answers = _complete(policy, asked, measuring, text.max_answer_tokens, GREEDY)
    pairs = zip(asked, answers, strict=True)
    return tuple(text.mark(policy, prompt, rollout) for prompt, rollout in pairs)


def _batches(
    rows: Sequence[ConversationRow], measuring: MeasureSettings, progress: Progress, what: str
) -> Iterator[tuple[Sequence[ConversationRow], PackedBatch]]:
    """Rows some at a time, in their order; tells how many are done after each."""
    progress(what, 0, len(rows))
    for start in range(0, len(rows), measuring.batch_size):
        check_stop()
        some = rows[start : start + measuring.batch_size]
        yield some, pack_rows(some)
        progress(what, start + len(some), len(rows))


def _states(policy: Policy, batch: PackedBatch) -> mx.array:
    """Final hidden states (N, D) that predict the batch's completion tokens."""
    hidden = read_hidden_states(policy.model, batch.tokens)
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)
    mx.eval(hidden)
    return hidden


def _lengths(rows: Sequence[ConversationRow]) -> list[int]:
    return [len(row.learned) for row in rows]


def _by_prompt(values: Floats, prompts: Sequence[int]) -> dict[str, Floats]:
    """Sums of tokens, losses and distances over each prompt's rows (P,), by name."""
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
    owner = np.array([places[prompt] for prompt in prompts])
    names = ("tokens", "base", "adapter", "export", "kl")
    return {
        name: np.bincount(owner, weights=column, minlength=len(places)).astype(float)
        for name, column in zip(names, values, strict=True)
    }


def _difference(
    sums: Mapping[str, Floats],
    accuracy: Accuracies | None,
    in_words: str,
    measuring: MeasureSettings,
) -> Difference:
    total = {name: np.array([column.sum()]) for name, column in sums.items()}
    drawn_sums = resample(np.stack([*sums.values()]), measuring.seed)  # (R, 5)
    drawn = dict(zip(sums, drawn_sums.T, strict=True))

    def of(ratio: Callable[[Mapping[str, Floats]], Floats]) -> Figure:
        low, high = np.percentile(ratio(drawn), (2.5, 97.5))
        return Figure(value=float(ratio(total)[0]), low=float(low), high=float(high))

    gain = of(lambda s: (s["base"] - s["adapter"]) / s["tokens"])
    change = of(lambda s: (s["export"] - s["adapter"]) / s["tokens"])
    kept = None
    if gain.low > 0:
        kept = of(lambda s: (s["base"] - s["export"]) / (s["base"] - s["adapter"]))
    return Difference(
        source=f"{in_words}.",
        num_prompts=len(sums["tokens"]),
        num_tokens=int(total["tokens"][0]),
        kl=of(lambda s: s["kl"] / s["tokens"]),
        base_loss=of(lambda s: s["base"] / s["tokens"]),
        adapter_loss=of(lambda s: s["adapter"] / s["tokens"]),
        export_loss=of(lambda s: s["export"] / s["tokens"]),
        loss_change=change,
        kept_share=kept,
        accuracy=accuracy,
        is_lossy=_is_lossy(change, kept, accuracy, measuring.max_lost_share),
    )


def _is_lossy(
    change: Figure, kept: Figure | None, accuracy: Accuracies | None, max_lost_share: float
) -> bool:
    """Whether more is lost than luck and the share that may be: docs/exports.md has the rule."""
    if accuracy is not None and accuracy.change.high < 0:
        return True
    if change.low <= 0:
        return False
    return change.value > FELT_NATS if kept is None else kept.value < 1 - max_lost_share


def _accuracies(marks: tuple[Marks, Marks, Marks], seed: int) -> Accuracies | None:
    """Shares of right answers of base, adapter and export, over prompts that all could mark."""
    counted = [row for row in zip(*marks, strict=True) if None not in row]
    if len(counted) < 2:
        return None
    columns = np.array(counted, float).T  # (3, P)
    drawn = resample(columns, seed) / len(counted)  # (R, 3)
    low, high = np.percentile(drawn[:, 2] - drawn[:, 1], (2.5, 97.5))
    change = float((columns[2] - columns[1]).mean())
    base, adapter, export = (_share(column) for column in columns)
    return Accuracies(
        base=base,
        adapter=adapter,
        export=export,
        change=Figure(value=change, low=float(low), high=float(high)),
        num_graded=len(counted),
    )


def _share(marks: Floats) -> Figure:
    interval = wilson_interval(round(marks.sum()), len(marks))
    return Figure(value=float(marks.mean()), low=interval.low, high=interval.high)
