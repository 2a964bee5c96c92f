from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.evaluation.playground_grading import Grader
from OnPolicyDistill.generation import prefill
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.prefill import read_prefix
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.losses.targets import HiddenTargets
from OnPolicyDistill.models.kv_cache import RowCache
from OnPolicyDistill.models.layer_caches import LayerCache
from OnPolicyDistill.models.loading import load_policy, unload
from OnPolicyDistill.models.places import Places
from OnPolicyDistill.models.policy import (
    Policy,
    hidden_states,
    vocabulary_head,
)
from OnPolicyDistill.models.row_layout import RowLayout
from OnPolicyDistill.models.seeing import FeatureShelf, SeeingModel
from OnPolicyDistill.pictures import FIRST_PICTURE_ID
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scorer import EXACT
from OnPolicyDistill.teacher.scoring import Teacher
from tests.models.conftest import write_tiny_model
from tests.seeing_models import a_picture

# So many that rows end at different times, and others join those that go on.
STOPS = frozenset(range(40, 80))


def eyes(policy: Policy) -> SeeingModel:
    assert isinstance(policy.model, SeeingModel)
    return policy.model


def places(policy: Policy, tall: int, wide: int, seed: int) -> range:
    model = eyes(policy)
    return model.book.ids_of(a_picture(model.sight, tall, wide, seed))


def some_prompts(policy: Policy) -> list[list[int]]:
    """Six prompts with none, one and two pictures."""
    large, small = places(policy, 4, 6, 1), places(policy, 3, 2, 2)
    return [
        [1, 2, 3, *large, 5, 6],
        [1, 2, 3, 4, 5],
        [7, 8, *small, 9, *large, 11, 12, 13],
        [9, *large, 3],
        [4] * 9,
        [5, *small, *small, 7],
    ]


def asked(policy: Policy, prompts: list[list[int]], max_rows: int = 8) -> GenerationRequest:
    seeds = list(range(len(prompts)))
    return GenerationRequest(prompts, seeds, STOPS, policy.vocab_size, 10, max_rows=max_rows)


def rescored(policy: Policy, rollout: Rollout) -> list[float]:
    hidden = hidden_states(policy.model, mx.array([rollout.token_ids]))[0]
    logits = vocabulary_head(policy).logits(hidden[len(rollout.prompt_ids) - 1 : -1])
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    labels = mx.array(rollout.completion_ids)[:, None]
    return mx.take_along_axis(logprobs, labels, axis=-1)[:, 0].tolist()


def test_sampled_logprobs_equal_rescored_ones_with_none_one_and_two_pictures(
    policy: Policy,
) -> None:
    for rollout in generate(policy.model, asked(policy, some_prompts(policy), max_rows=3)):
        assert rollout.logprobs == pytest.approx(rescored(policy, rollout), abs=1e-5)


def test_a_row_among_others_that_join_and_leave_says_what_it_says_alone(policy: Policy) -> None:
    prompts = some_prompts(policy)
    together = generate(policy.model, asked(policy, prompts, max_rows=2))
    assert len({len(rollout.completion_ids) for rollout in together}) > 2
    for index, prompt in enumerate(prompts):
        request = GenerationRequest([prompt], [index], STOPS, policy.vocab_size, 10)
        alone = generate(policy.model, request)[0]
        assert alone.completion_ids == together[index].completion_ids
        assert alone.logprobs == pytest.approx(together[index].logprobs, abs=1e-5)


@pytest.mark.parametrize("num_tokens", [1, 2, 3, 7])
def test_chunks_that_cut_pictures_read_what_a_whole_prompt_does(
    policy: Policy, num_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = some_prompts(policy)[:3]
    whole = generate(policy.model, asked(policy, prompts))
    monkeypatch.setattr(prefill, "PREFILL_TOKENS", num_tokens)
    for cut, uncut in zip(generate(policy.model, asked(policy, prompts)), whole, strict=True):
        assert cut.completion_ids == uncut.completion_ids
        assert cut.logprobs == pytest.approx(uncut.logprobs, abs=1e-5)


def test_completions_behind_one_shared_picture_equal_those_that_read_it_themselves(
    policy: Policy,
) -> None:
    begin = [3, 4, *places(policy, 5, 7, 3), 8]
    prompts = [[*begin, last, 9] for last in (10, 11, 12, 13)]
    assert len(read_prefix(policy.model, prompts).ids) == len(begin)
    for rollout in generate(policy.model, asked(policy, prompts)):
        assert rollout.logprobs == pytest.approx(rescored(policy, rollout), abs=1e-5)


def test_equal_words_behind_different_pictures_share_nothing_and_have_their_own_cache_keys(
    policy: Policy,
) -> None:
    pictures = [places(policy, 4, 6, seed) for seed in (1, 2)]
    prompts = [[1, *picture, *range(2, 60)] for picture in pictures]
    assert len(read_prefix(policy.model, prompts).ids) == 0
    first, second = generate(policy.model, asked(policy, prompts))
    assert first.logprobs != second.logprobs
    teacher = Teacher(policy, TeacherCache(10_000_000), EXACT)
    rollouts = [Rollout(i, tuple(p), (5, 6), (0.0, 0.0), "length") for i, p in enumerate(prompts)]
    targets = teacher.score([], kept=rollouts)
    assert isinstance(targets, HiddenTargets)
    assert (teacher.cache.hits, teacher.cache.misses) == (0, 2)
    difference = targets.hidden[:2] - targets.hidden[2:]
    assert as_float(mx.abs(difference).max()) > 1e-2


def test_the_prefix_a_teacher_shares_keeps_the_position_behind_its_picture(policy: Policy) -> None:
    begin = [3, 4, *places(policy, 5, 7, 3), 8]
    rollouts = [
        Rollout(row, (*begin, 9 + row), (5, 6, 7), (0.0,) * 3, "length") for row in range(3)
    ]
    plain = Teacher(policy, TeacherCache(10_000_000), EXACT).score(rollouts)
    sharing = Teacher(policy, TeacherCache(10_000_000), EXACT)
    assert sharing.share_prefix([rollout.prompt_ids for rollout in rollouts]) == len(begin)
    shared = sharing.score(rollouts)
    assert isinstance(plain, HiddenTargets)
    assert isinstance(shared, HiddenTargets)
    assert as_float(mx.abs(plain.hidden - shared.hidden).max()) < 1e-4


def test_decoding_looks_at_no_token_and_asks_no_row_where_it_is(
    policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either would wait for the device before the next step can be asked for."""
    model, num_looks, lengths = eyes(policy), [], (2, 9)
    find = model._find

    def counted(tokens: mx.array, cache: Sequence[LayerCache] | None) -> Places:
        num_looks[-1] += 1
        return find(tokens, cache)

    def asked_where(*_: object) -> None:
        raise AssertionError("a row was asked where it is")

    model._find = counted  # type: ignore[method-assign]
    monkeypatch.setattr(RowLayout, "offset", asked_where)
    for max_tokens in lengths:
        num_looks.append(0)
        prompts = some_prompts(policy)[:3]
        request = GenerationRequest(prompts, [1, 2, 3], frozenset(), policy.vocab_size, max_tokens)
        assert len(generate(model, request)[0].completion_ids) == max_tokens
    assert num_looks[0] == num_looks[1] > 0


def test_a_picture_is_looked_at_once_and_forgotten_when_others_need_the_room(
    policy: Policy,
) -> None:
    model = eyes(policy)
    pictures = [a_picture(model.sight, 2, 2, seed) for seed in range(3)]
    ids = [list(model.book.ids_of(picture)) for picture in pictures]
    rows = mx.array([[1, *row, 2] for row in (*ids, *ids)])
    hidden_states(model, rows)
    assert (model.shelf.misses, model.shelf.hits) == (3, 0)
    hidden_states(model, rows)
    assert model.shelf.metrics()["picture_cache_hit_rate"] == 0.5
    one = model.shelf.num_bytes // 3
    before = hidden_states(model, rows)
    model.shelf = FeatureShelf(2 * one)
    assert mx.array_equal(hidden_states(model, rows), before)
    assert model.shelf.num_bytes == 2 * one
    assert model.shelf.get(pictures[0].digest) is None
    unload(policy)
    assert model.shelf.num_bytes == 0


def test_a_tower_that_learns_is_looked_through_inside_of_the_gradient(policy: Policy) -> None:
    model = eyes(policy)
    rows = mx.array([[1, *places(policy, 2, 3, 1), 2]])
    model.vision_tower.unfreeze()
    patches = model.vision_tower.patch_embed.proj

    def loss(weight: mx.array) -> mx.array:
        patches.weight = weight
        return mx.square(hidden_states(model, rows)).mean()

    gradient = mx.grad(loss)(patches.weight)
    assert as_float(mx.abs(gradient).max()) > 0
    assert model.shelf.misses == 0


def test_a_tower_that_learns_sees_in_many_pictures_what_it_sees_in_each(policy: Policy) -> None:
    model = eyes(policy)
    rows = mx.array([[1, *places(policy, 2, 3, 1), 2, *places(policy, 3, 2, 4), 5]])
    frozen = hidden_states(model, rows)
    model.vision_tower.unfreeze()
    assert mx.allclose(hidden_states(model, rows), frozen, atol=1e-4)
    model.vision_tower.freeze()


def test_the_placeholder_that_a_student_writes_is_a_word_like_others(policy: Policy) -> None:
    pad = policy.tokenizer.get_vocab()["<|image_pad|>"]
    row = [1, pad, *places(policy, 2, 3, 1), 5, pad, 7]
    other = [word if word != pad else 6 for word in row]
    cached = RowCache.empty(policy.model, 1)
    hidden = hidden_states(policy.model, mx.array([row]))
    prefill.read_rows(policy.model, cached, [row[:-2]])
    after = [hidden_states(policy.model, mx.array([[w]]), cached, are_words=True) for w in row[-2:]]
    assert mx.allclose(hidden[:, -2:], mx.concatenate(after, axis=1), atol=1e-4)
    assert not mx.allclose(hidden, hidden_states(policy.model, mx.array([other])), atol=1e-2)


def test_a_model_without_eyes_refuses_pictures_in_words(tmp_path: Path) -> None:
    blind = load_policy(str(write_tiny_model(tmp_path / "blind")))
    request = GenerationRequest([[1, FIRST_PICTURE_ID, 2]], [0], STOPS, blind.vocab_size, 4)
    with pytest.raises(ModelError, match="reads words alone"):
        generate(blind.model, request)
    rollout = Rollout(0, (1, FIRST_PICTURE_ID, 2), (3,), (0.0,), "length")
    with pytest.raises(ModelError, match="reads words alone"):
        Teacher(blind, TeacherCache(1000), EXACT).score([rollout])


def test_batches_of_pictures_and_padding_agree_with_rows_alone(policy: Policy) -> None:
    rows = some_prompts(policy)[:3]
    T = max(map(len, rows))
    batch = mx.array([[*row, *[0] * (T - len(row))] for row in rows])
    together = np.array(hidden_states(policy.model, batch))
    for number, row in enumerate(rows):
        alone = np.array(hidden_states(policy.model, mx.array([row])))[0]
        assert np.abs(together[number, : len(row)] - alone).max() < 1e-4


def test_a_teacher_grades_what_follows_a_picture_token_by_token_as_in_one_go(
    policy: Policy,
) -> None:
    prompt = [1, 2, *places(policy, 4, 6, 1), 5, 6]
    ids = [7, 8, 9, 10, 11]
    grader = Grader(policy, prompt, policy.vocab_size)
    graded = [*grader.grade(ids[:2]), *grader.grade(ids[2:])]
    rollout = Rollout(0, tuple(prompt), tuple(ids), (0.0,) * 5, "length")
    wanted = pytest.approx(rescored(policy, rollout), abs=1e-5)
    assert [grade.teacher_logprob for grade in graded] == wanted
