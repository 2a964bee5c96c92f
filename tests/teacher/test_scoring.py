from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.losses.targets import HiddenTargets, TopKTargets
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout, TopLogprobs
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scorer import EXACT, TargetForm
from OnPolicyDistill.teacher.scoring import Teacher

PROMPT = (5, 6, 7)
SHORT = Rollout(0, PROMPT, (8, 9), (-1.0, -1.0), "stop")
LONG = Rollout(1, (4,), (10, 11, 12, 13), (-1.0,) * 4, "length")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    write_tokenizer(folder, ["the third of March"], 270)
    write_random_model(folder, TinyShape(32, 2, 4, 2, 64, 320, False), 3)
    return folder


@pytest.fixture
def policy(folder: Path) -> Policy:
    return load_policy(str(folder))


def full_logits(policy: Policy, rollout: Rollout) -> mx.array:
    logits = policy.model(mx.array([rollout.token_ids]))[0, :, : policy.vocab_size]
    first = len(rollout.prompt_ids) - 1
    return logits[first : first + len(rollout.completion_ids)]


def test_position_i_scores_the_token_after_it(policy: Policy) -> None:
    teacher = Teacher(policy, TeacherCache(0), EXACT)
    targets = teacher.score([SHORT, LONG])
    assert isinstance(targets, HiddenTargets)
    expected = mx.concatenate([full_logits(policy, SHORT), full_logits(policy, LONG)])
    assert mx.allclose(targets.head.logits(targets.hidden), expected, atol=1e-5).item()


def test_kept_rows_come_after_fresh_ones_and_from_the_cache_the_second_time(
    policy: Policy,
) -> None:
    teacher = Teacher(policy, TeacherCache(10**6), EXACT)
    first = teacher.score([SHORT], [LONG])
    second = teacher.score([SHORT], [LONG])
    assert isinstance(first, HiddenTargets)
    assert isinstance(second, HiddenTargets)
    assert mx.array_equal(first.hidden, second.hidden).item()
    assert (teacher.cache.hits, teacher.cache.misses) == (1, 1)
    assert first.hidden.shape[0] == 6
    assert teacher.cache_metrics()["teacher_cache_hit_rate"] == 0.5
    assert "teacher_cache_hit_rate" not in teacher.cache_metrics()


def test_an_unloaded_teacher_answers_from_the_cache_alone(policy: Policy) -> None:
    teacher = Teacher(policy, TeacherCache(10**6), EXACT)
    before = teacher.score([], [SHORT])
    teacher.keep([SHORT])
    held = mx.get_active_memory()
    teacher.unload()
    assert held - mx.get_active_memory() > 50_000
    after = teacher.score([], [SHORT])
    assert isinstance(before, HiddenTargets)
    assert isinstance(after, HiddenTargets)
    assert mx.array_equal(before.hidden, after.hidden).item()
    with pytest.raises(RunError, match="no longer in memory"):
        teacher.score([], [LONG])


def test_a_cache_that_cannot_hold_everything_says_how_many_are_missing(policy: Policy) -> None:
    teacher = Teacher(policy, TeacherCache(2 * 32 * 4), EXACT)
    with pytest.raises(RunError, match="1 of 2"):
        teacher.keep([LONG, SHORT])


def test_the_students_own_likely_tokens_join_the_teachers_top_k(policy: Policy) -> None:
    form = TargetForm("top_k", 2, 2.0)
    teacher = Teacher(policy, TeacherCache(0), form)
    unlikely = mx.argsort(full_logits(policy, SHORT), axis=-1)[:, :2].tolist()
    tops = tuple(TopLogprobs(tuple(ids), (-1.0, -2.0)) for ids in unlikely)
    targets = teacher.score([replace(SHORT, top_logprobs=tops)])
    assert isinstance(targets, TopKTargets)
    for row, wanted in zip(targets.ids.tolist(), unlikely, strict=True):
        assert set(wanted) <= set(row)
    mass = mx.exp(targets.logprobs).sum(axis=-1) + mx.exp(targets.tail_logprob)
    assert mx.allclose(mass, mx.ones_like(mass), atol=1e-5).item()


def test_top_k_targets_of_both_kinds_of_rows_join(policy: Policy) -> None:
    teacher = Teacher(policy, TeacherCache(10**6), TargetForm("top_k", 3, 1.0))
    with pytest.raises(ValueError, match="ids that the student likes now"):
        teacher.score([SHORT], [LONG])
    targets = teacher.score([SHORT], [LONG], kept_ids=mx.zeros((4, 3), dtype=mx.uint32))
    assert isinstance(targets, TopKTargets)
    assert targets.ids.shape == (6, 6)


def test_kept_rows_take_the_tokens_that_the_student_likes_now(policy: Policy) -> None:
    teacher = Teacher(policy, TeacherCache(10**6), TargetForm("top_k", 3, 1.0))
    likely = mx.argsort(full_logits(policy, LONG), axis=-1)[:, :3].astype(mx.uint32)
    for changed in (likely, likely + 1):
        targets = teacher.score([], [LONG], kept_ids=changed)
        assert isinstance(targets, TopKTargets)
        for row, wanted in zip(targets.ids.tolist(), changed.tolist(), strict=True):
            assert set(wanted) <= set(row)
    # The second time the teacher was not asked again.
    assert (teacher.cache.hits, teacher.cache.misses) == (1, 1)


def test_an_unloaded_teacher_keeps_the_compact_form_alone(policy: Policy) -> None:
    teacher = Teacher(policy, TeacherCache(10**6), TargetForm("top_k", 3, 1.0))
    teacher.keep([LONG])
    num_bytes = teacher.cache.num_bytes
    teacher.unload()
    assert not teacher.compresses_anew()
    assert isinstance(teacher.score([], [LONG]), TopKTargets)
    assert teacher.cache.num_bytes == num_bytes


def test_a_shared_prefix_is_read_once_and_changes_no_score(policy: Policy) -> None:
    prefix = tuple(range(5, 45))
    rollouts = [
        Rollout(0, (*prefix, 50), (8, 9), (-1.0, -1.0), "stop"),
        Rollout(1, (*prefix, 51, 52), (10, 11, 12), (-1.0,) * 3, "length"),
    ]
    plain = Teacher(policy, TeacherCache(10**6), EXACT).score(rollouts)
    teacher = Teacher(policy, TeacherCache(10**6), EXACT)
    assert teacher.share_prefix([rollout.prompt_ids for rollout in rollouts]) == 40
    shared = teacher.score(rollouts)
    assert isinstance(plain, HiddenTargets)
    assert isinstance(shared, HiddenTargets)
    assert mx.allclose(plain.hidden, shared.hidden, atol=1e-5).item()
    assert (teacher.cache.hits, teacher.cache.misses) == (0, 0)
    again = teacher.score(rollouts)
    assert isinstance(again, HiddenTargets)
    assert mx.array_equal(shared.hidden, again.hidden).item()


def test_a_prefix_that_was_evicted_is_made_again_bit_for_bit(policy: Policy) -> None:
    prompt = tuple(range(5, 45))
    rollout = Rollout(0, (*prompt, 50), (8, 9), (-1.0, -1.0), "stop")
    teacher = Teacher(policy, TeacherCache(10**6), EXACT)
    teacher.share_prefix([rollout.prompt_ids, (*prompt, 51)])
    before = teacher.score([rollout])
    teacher.cache.clear()
    after = teacher.score([rollout])
    assert isinstance(before, HiddenTargets)
    assert isinstance(after, HiddenTargets)
    assert mx.array_equal(before.hidden, after.hidden).item()


def test_short_prefixes_and_caches_without_room_share_nothing(policy: Policy) -> None:
    prompts = [(*range(5, 45), 50), (*range(5, 45), 51)]
    assert Teacher(policy, TeacherCache(10**6), EXACT).share_prefix([p[20:] for p in prompts]) == 0
    assert Teacher(policy, TeacherCache(100), EXACT).share_prefix(prompts) == 0


def test_the_last_token_of_a_prompt_is_never_part_of_the_shared_prefix(policy: Policy) -> None:
    prompt = tuple(range(5, 45))
    teacher = Teacher(policy, TeacherCache(10**6), EXACT)
    assert teacher.share_prefix([prompt, (*prompt, 50)]) == 39
