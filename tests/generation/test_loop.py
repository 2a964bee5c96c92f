import math
import os
import random
from dataclasses import replace

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.generate import generate_step

from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.generation.loop import generate, generate_with_full_logprobs, stream
from OnPolicyDistill.generation.prefill import read_prefix
from OnPolicyDistill.generation.request import GenerationHooks, GenerationRequest
from OnPolicyDistill.generation.sampling import GREEDY, THE_POLICY, SamplingSettings
from OnPolicyDistill.losses.cross_entropy import label_logprobs
from OnPolicyDistill.models.layout import output_head
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.rollout import Rollout
from tests.generation.conftest import build_qwen2, varied

VOCAB_SIZE = 100
ALL = 112  # the tiny models' logits are wider than their vocabulary
CUT = SamplingSettings(temperature=1.3, top_k=12, top_p=0.9, min_p=0.02)


def random_prompts(*lengths: int) -> list[list[int]]:
    numbers = random.Random(0)
    return [[numbers.randrange(VOCAB_SIZE) for _ in range(length)] for length in lengths]


RAGGED = random_prompts(5, 1, 17, 9, 40, 3, 23)


def asked(
    prompts: list[list[int]],
    sampling: SamplingSettings = GREEDY,
    stop_ids: frozenset[int] = frozenset(),
    max_tokens: int = 24,
    max_rows: int = 8,
    vocab_size: int = VOCAB_SIZE,
) -> GenerationRequest:
    seeds = [1000 + sum(prompt) for prompt in prompts]
    return GenerationRequest(
        prompts, seeds, stop_ids, vocab_size, max_tokens, sampling, max_rows=max_rows
    )


REFERENCES: dict[tuple[str, tuple[int, ...]], list[int]] = {}


def reference(model: nn.Module, prompt: list[int]) -> list[int]:
    """24 tokens of the loop that mlx_lm.generate runs, over all logits, each prompt alone."""
    key = type(model).__module__, tuple(prompt)
    if key not in REFERENCES:
        steps = generate_step(mx.array(prompt), model, max_tokens=24)
        REFERENCES[key] = [token for token, _ in steps]
    return REFERENCES[key]


def rescored(model: nn.Module, rollout: Rollout, vocab_size: int = VOCAB_SIZE) -> list[list[float]]:
    """Logits of every completion position from one forward over the whole row."""
    logits = model(mx.array([rollout.token_ids]))[0, :, :vocab_size].astype(mx.float32)
    first = len(rollout.prompt_ids) - 1
    return logits[first : first + len(rollout.completion_ids)].tolist()


def cut_logprobs(logits: list[float], settings: SamplingSettings) -> list[float]:
    """Temperature, top-k, top-p, min-p in that order, token by token and in double precision."""
    tempered = [logit / settings.temperature for logit in logits]
    order = sorted(range(len(logits)), key=lambda index: -tempered[index])
    order = order[: settings.top_k or None]
    weights = [math.exp(tempered[index] - tempered[order[0]]) for index in order]
    mass, alive = 0.0, []
    for index, weight in zip(order, weights, strict=True):
        if mass < settings.top_p and weight >= settings.min_p:
            alive.append(index)
        mass += weight / sum(weights)
    total = sum(math.exp(tempered[index]) for index in alive)
    return [
        tempered[index] - math.log(total) if index in alive else -math.inf
        for index in range(len(logits))
    ]


def test_greedy_alone_equals_mlx_lm_token_for_token(any_model: nn.Module):
    for prompt in RAGGED[:3]:
        (rollout,) = generate(any_model, asked([prompt], vocab_size=ALL))
        assert list(rollout.completion_ids) == reference(any_model, prompt)


def test_greedy_in_a_ragged_batch_equals_mlx_lm_token_for_token(any_model: nn.Module):
    rollouts = generate(any_model, asked(RAGGED, vocab_size=ALL))
    expected = [reference(any_model, prompt) for prompt in RAGGED]
    assert [list(rollout.completion_ids) for rollout in rollouts] == expected
    assert [rollout.prompt_index for rollout in rollouts] == list(range(len(RAGGED)))
    assert [list(rollout.prompt_ids) for rollout in rollouts] == RAGGED
    assert len({token for ids in expected for token in ids}) > 20, "a model that repeats is no test"


def test_a_group_reads_its_prompt_once_and_gets_the_tokens_of_each_row_alone(model: nn.Module):
    read: list[tuple[int, int]] = []

    class Counting(type(model)):
        def __call__(self, tokens: mx.array, *args: object, **options: object) -> mx.array:
            read.append(tokens.shape)
            return super().__call__(tokens, *args, **options)

    own, prompts = type(model), [RAGGED[2]] * 3 + [RAGGED[0]] * 3 + [RAGGED[1]] * 2
    seeds = list(range(8))
    request = replace(asked(prompts, THE_POLICY, max_tokens=12), seeds=seeds)
    model.__class__ = Counting
    try:
        together = generate(model, request)
    finally:
        model.__class__ = own
    # 17 tokens are the longest prompt, all but its last are read, for the three prompts once.
    assert [shape for shape in read if shape[1] > 1] == [(3, 16)]
    for index, rollout in enumerate(together):
        alone = replace(request, prompts=prompts[index : index + 1], seeds=[index])
        (expected,) = generate(model, alone)
        assert rollout.completion_ids == expected.completion_ids
        assert rollout.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    assert len({rollout.completion_ids for rollout in together}) == 8


def test_rows_that_wait_for_room_get_the_same_tokens(model: nn.Module):
    expected = [reference(model, prompt) for prompt in RAGGED]
    stop_ids = frozenset(ids[8] for ids in expected)
    at_once = generate(model, asked(RAGGED, stop_ids=stop_ids, vocab_size=ALL))
    for max_rows in (1, 2, 3):
        request = asked(RAGGED, stop_ids=stop_ids, vocab_size=ALL, max_rows=max_rows)
        waited = generate(model, request)
        for one, other in zip(at_once, waited, strict=True):
            assert one.completion_ids == other.completion_ids
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_single_token_prompts_join_a_running_batch(model: nn.Module):
    prompts = random_prompts(9, 1, 1, 1)
    rollouts = generate(model, asked(prompts, vocab_size=ALL, max_rows=2))
    for prompt, rollout in zip(prompts, rollouts, strict=True):
        assert list(rollout.completion_ids) == reference(model, prompt)


def test_a_prompt_longer_than_a_prefill_chunk_and_a_growth_step_is_read_right(
    model: nn.Module, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("OnPolicyDistill.generation.prefill.PREFILL_TOKENS", 64)
    prompts = random_prompts(250, 7, 130)
    rollouts = generate(model, asked(prompts, vocab_size=ALL))
    for prompt, rollout in zip(prompts, rollouts, strict=True):
        assert list(rollout.completion_ids) == reference(model, prompt)


def test_a_prefix_that_all_prompts_share_changes_nothing(model: nn.Module):
    (prefix,) = random_prompts(40)
    tails = random_prompts(1, 6, 2, 11)
    prompts = [prefix + tail for tail in tails] + [prefix + tails[1]]
    for max_rows in (8, 2):
        rollouts = generate(model, asked(prompts, vocab_size=ALL, max_rows=max_rows))
        for prompt, rollout in zip(prompts, rollouts, strict=True):
            assert list(rollout.completion_ids) == reference(model, prompt)


def test_a_shared_prefix_is_read_once(model: nn.Module):
    (prefix,) = random_prompts(60)
    reader = CountingModel(model)
    generate(reader, asked([prefix] * 4, max_tokens=1))
    assert reader.num_tokens == 59 + 4


def test_a_prefix_read_before_serves_many_requests(model: nn.Module):
    (prefix,) = random_prompts(60)
    prompts = [prefix + tail for tail in random_prompts(3, 8, 1)]
    reader = CountingModel(model)
    read = read_prefix(reader, prompts)
    assert reader.num_tokens == len(read.ids) == 60
    for prompt in prompts:
        request = replace(asked([prompt], vocab_size=ALL), prefix=read)
        (rollout,) = generate(reader, request)
        assert list(rollout.completion_ids) == reference(model, prompt)
    assert reader.num_tokens == 60 + 2 + 7 + 0 + 3 * 24


def test_a_prefix_of_other_prompts_is_not_used(model: nn.Module):
    (prefix,) = random_prompts(60)
    read = read_prefix(model, [[*prefix, 1], [*prefix, 2]])
    for other in (RAGGED[0], prefix, [*prefix[:-1], 1 + prefix[-1], 3]):
        (rollout,) = generate(model, replace(asked([other], vocab_size=ALL), prefix=read))
        assert list(rollout.completion_ids) == reference(model, other)


class CountingModel(nn.Module):
    """The model, counting the tokens it is given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.num_tokens = 0

    @property
    def layers(self) -> list[nn.Module]:
        return self.model.layers

    def __call__(self, inputs: mx.array, cache: list[object]) -> mx.array:
        self.num_tokens += inputs.size
        return self.model(inputs, cache=cache)


def test_the_stop_token_and_its_logprob_belong_to_the_completion(model: nn.Module):
    expected = reference(model, RAGGED[2])
    stop_id = expected[6]
    (rollout,) = generate(model, asked([RAGGED[2]], stop_ids=frozenset([stop_id]), vocab_size=ALL))
    assert list(rollout.completion_ids) == expected[: expected.index(stop_id) + 1]
    assert len(rollout.logprobs) == len(rollout.completion_ids)
    assert rollout.finish_reason == "stop"
    logits = mx.array(rescored(model, rollout, ALL)[-1])
    expected_logprob = (logits[stop_id] - mx.logsumexp(logits)).item()
    assert rollout.logprobs[-1] == pytest.approx(expected_logprob, abs=1e-4)


def test_any_id_of_the_stop_set_ends_a_completion(model: nn.Module):
    expected = [reference(model, prompt) for prompt in RAGGED]
    stop_ids = frozenset(ids[5] for ids in expected)
    rollouts = generate(model, asked(RAGGED, stop_ids=stop_ids, vocab_size=ALL))
    for ids, rollout in zip(expected, rollouts, strict=True):
        length = next(place for place, token in enumerate(ids) if token in stop_ids) + 1
        assert list(rollout.completion_ids) == ids[:length]
        assert rollout.finish_reason == "stop"
    assert len({rollout.completion_ids[-1] for rollout in rollouts}) > 1


def test_a_completion_cut_by_max_tokens_says_length(model: nn.Module):
    for rollout in generate(model, asked(RAGGED, max_tokens=4)):
        assert len(rollout.completion_ids) == 4
        assert rollout.finish_reason == "length"


def test_a_stop_token_in_the_last_place_says_stop(model: nn.Module):
    ids = reference(model, RAGGED[0])
    last = next(place for place in range(3, 24) if ids[place] not in ids[:place])
    request = asked([RAGGED[0]], GREEDY, frozenset([ids[last]]), last + 1, vocab_size=ALL)
    assert generate(model, request)[0].finish_reason == "stop"


def test_sampled_logprobs_equal_rescored_ones(any_model: nn.Module):
    for rollout in generate(any_model, asked(RAGGED, THE_POLICY)):
        for token, logprob, logits in zip(
            rollout.completion_ids, rollout.logprobs, rescored(any_model, rollout), strict=True
        ):
            expected = mx.array(logits)[token] - mx.logsumexp(mx.array(logits))
            assert logprob == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("is_packed", [False, True])
def test_sampled_logprobs_of_a_rounding_head_equal_exact_ones(is_packed: bool):
    model = varied(build_qwen2())
    # Logits of 20 or so, where neighbours in bfloat16 are 0.125 apart.
    model.lm_head.weight = 6 * model.lm_head.weight
    if is_packed:
        nn.quantize(model, group_size=32, bits=8)
    model.set_dtype(mx.bfloat16)
    rollout = generate(model, asked([[5, 9, 2]], THE_POLICY))[0]
    labels = mx.array(rollout.completion_ids)
    hidden = hidden_states(model, mx.array([rollout.token_ids]))[0, 2:-1]
    exact = label_logprobs(hidden, output_head(model, VOCAB_SIZE), labels)
    own = mx.array(rescored(model, rollout))
    rounded = (own - mx.logsumexp(own, axis=-1, keepdims=True))[mx.arange(24), labels]
    sampled = mx.array(rollout.logprobs)
    apart = [float(mx.abs(values - sampled).mean()) for values in (exact, rounded)]
    assert apart[0] < 0.2 * apart[1]


def test_logprobs_of_a_cut_distribution_equal_ones_worked_out_apart(model: nn.Module):
    for rollout in generate(model, asked(RAGGED, CUT)):
        for token, logprob, logits in zip(
            rollout.completion_ids, rollout.logprobs, rescored(model, rollout), strict=True
        ):
            assert logprob == pytest.approx(cut_logprobs(logits, CUT)[token], abs=1e-4)


def test_the_same_seeds_repeat_bit_for_bit_and_others_do_not(model: nn.Module):
    request = asked(RAGGED, THE_POLICY)
    mx.random.seed(1)
    first = generate(model, request)
    mx.random.seed(2)
    assert generate(model, request) == first
    other = GenerationRequest(RAGGED, list(range(7)), frozenset(), VOCAB_SIZE, 24)
    assert [r.completion_ids for r in generate(model, other)] != [r.completion_ids for r in first]


def test_sampling_leaves_the_global_random_state_alone(model: nn.Module):
    mx.random.seed(5)
    before = mx.array(mx.random.state[0])
    generate(model, asked(RAGGED[:2], THE_POLICY))
    assert mx.array_equal(before, mx.random.state[0]).item()


def test_a_row_draws_the_same_tokens_whoever_is_in_its_batch(model: nn.Module):
    together = generate(model, asked(RAGGED, CUT))
    for index, prompt in enumerate(RAGGED):
        (alone,) = generate(model, asked([prompt], CUT))
        assert alone.completion_ids == together[index].completion_ids
    stop_ids = frozenset(rollout.completion_ids[10] for rollout in together)
    stopped = generate(model, asked(RAGGED, CUT, stop_ids, max_rows=3))
    for whole, part in zip(together, stopped, strict=True):
        assert whole.completion_ids[: len(part.completion_ids)] == part.completion_ids


def test_a_longer_limit_does_not_change_the_tokens_before_it(model: nn.Module):
    short = generate(model, asked(RAGGED, THE_POLICY, max_tokens=6))
    long = generate(model, asked(RAGGED, THE_POLICY, max_tokens=20))
    assert [r.completion_ids for r in short] == [r.completion_ids[:6] for r in long]


def test_padding_rows_of_the_head_are_never_drawn_and_carry_no_mass(model: nn.Module):
    hot = SamplingSettings(temperature=50.0)
    prompts = RAGGED * 2
    free = generate(model, asked(prompts, hot, vocab_size=ALL))
    assert max(token for rollout in free for token in rollout.completion_ids) >= VOCAB_SIZE
    for rollout in generate(model, asked(prompts, hot)):
        assert max(rollout.completion_ids) < VOCAB_SIZE
        expected = cut_logprobs(rescored(model, rollout)[0], hot)[rollout.completion_ids[0]]
        assert rollout.logprobs[0] == pytest.approx(expected, abs=1e-4)


def test_banned_ids_are_never_drawn_and_the_rest_is_renormalized(model: nn.Module):
    banned = frozenset(range(0, VOCAB_SIZE, 2))
    request = GenerationRequest(
        RAGGED, list(range(7)), frozenset(), VOCAB_SIZE, 12, banned_ids=banned, num_top_logprobs=3
    )
    for rollout in generate(model, request):
        assert all(token % 2 == 1 for token in rollout.completion_ids)
        odd = mx.array(rescored(model, rollout)[0][1::2])
        expected = odd[rollout.completion_ids[0] // 2] - mx.logsumexp(odd)
        assert rollout.logprobs[0] == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("sampling", [THE_POLICY, GREEDY, CUT], ids=["policy", "greedy", "cut"])
def test_top_logprobs_are_the_policys_own_best_first(model: nn.Module, sampling: SamplingSettings):
    request = GenerationRequest(
        RAGGED, list(range(7)), frozenset(), VOCAB_SIZE, 8, sampling, num_top_logprobs=5
    )
    for rollout in generate(model, request):
        assert len(rollout.top_logprobs) == len(rollout.completion_ids)
        for top, logits in zip(rollout.top_logprobs, rescored(model, rollout), strict=True):
            logprobs = cut_logprobs(logits, THE_POLICY)
            best = sorted(range(VOCAB_SIZE), key=lambda index: -logprobs[index])[:5]
            assert list(top.ids) == best
            assert top.logprobs == pytest.approx([logprobs[index] for index in best], abs=1e-4)


def test_top_logprobs_may_span_the_whole_vocabulary(model: nn.Module):
    request = GenerationRequest(
        RAGGED[:1], [0], frozenset(), VOCAB_SIZE, 2, num_top_logprobs=VOCAB_SIZE
    )
    (rollout,) = generate(model, request)
    assert sorted(rollout.top_logprobs[0].ids) == list(range(VOCAB_SIZE))
    assert sum(map(math.exp, rollout.top_logprobs[0].logprobs)) == pytest.approx(1, abs=1e-5)


def test_full_logprobs_are_the_policys_own_at_every_position(model: nn.Module):
    request = asked(RAGGED, CUT, stop_ids=frozenset(range(0, 100, 9)), max_rows=3)
    for rollout, full in generate_with_full_logprobs(model, request):
        assert full.shape == (len(rollout.completion_ids), VOCAB_SIZE)
        assert full.dtype == mx.float32
        expected = [cut_logprobs(logits, THE_POLICY) for logits in rescored(model, rollout)]
        assert mx.allclose(full, mx.array(expected), atol=1e-4).item()


def test_streamed_tokens_are_those_of_generate(model: nn.Module):
    request = asked(RAGGED[:3], THE_POLICY, stop_ids=frozenset(range(0, 100, 7)))
    rollouts = generate(model, request)
    tokens = list(stream(model, request))
    for index, rollout in enumerate(rollouts):
        own = [token for token in tokens if token.prompt_index == index]
        assert tuple(token.id for token in own) == rollout.completion_ids
        assert tuple(token.logprob for token in own) == rollout.logprobs
        assert [token.finish_reason for token in own[:-1]] == [None] * (len(own) - 1)
        assert own[-1].finish_reason == rollout.finish_reason


def test_a_stream_yields_tokens_before_the_completion_is_done(model: nn.Module):
    reader = CountingModel(model)
    tokens = stream(reader, asked(RAGGED[:1], max_tokens=20))
    next(tokens)
    assert reader.num_tokens < len(RAGGED[0]) + 3
    tokens.close()


def test_progress_counts_every_token_once(model: nn.Module):
    heard: list[int] = []
    request = asked(RAGGED, THE_POLICY, stop_ids=frozenset(range(0, 100, 7)), max_rows=3)
    rollouts = generate(model, request, GenerationHooks(progress=heard.append))
    assert sum(heard) == sum(len(rollout.completion_ids) for rollout in rollouts)
    assert max(heard) <= 3


def test_a_rollout_is_heard_of_as_soon_as_it_is_whole(model: nn.Module):
    heard: list[tuple[Rollout, int]] = []
    written = 0

    def count(num_tokens: int) -> None:
        nonlocal written
        written += num_tokens

    hooks = GenerationHooks(progress=count, finished=lambda row: heard.append((row, written)))
    request = asked(RAGGED, THE_POLICY, stop_ids=frozenset(range(0, 100, 7)), max_rows=3)
    rollouts = generate(model, request, hooks)
    assert sorted((row for row, _ in heard), key=lambda row: row.prompt_index) == rollouts
    assert heard[0][1] < written


def test_a_stop_request_is_heard_within_a_step(model: nn.Module):
    heard: list[int] = []
    hooks = GenerationHooks(progress=heard.append, should_stop=lambda: len(heard) == 2)
    with pytest.raises(StoppedError, match="stopped"):
        generate(model, asked(RAGGED), hooks)
    assert len(heard) == 2


def test_dropout_is_off_while_sampling_and_back_on_afterwards():
    mx.random.seed(0)
    model = DropoutModel()
    model.train()
    request = GenerationRequest([[1, 2], [3]], [0, 1], frozenset(), 20, 12, GREEDY)
    sampled = generate(model, request)
    assert model.training
    model.eval()
    assert sampled == generate(model, request)


class DropoutModel(nn.Module):
    """Next-token logits from the last token alone, through heavy dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(16, 16)]
        self.embed = nn.Embedding(20, 16)
        self.dropout = nn.Dropout(0.9)
        self.head = nn.Linear(16, 20)

    def __call__(self, inputs: mx.array, cache: list[object]) -> mx.array:
        return self.head(self.dropout(self.layers[0](self.embed(inputs))))


def test_no_prompts_give_no_rollouts(model: nn.Module):
    assert generate(model, asked([])) == []


@pytest.mark.skipif(
    mx.default_device().type != mx.DeviceType.cpu or (os.cpu_count() or 1) < 2,
    reason="prompts are read side by side on a CPU's cores",
)
def test_prompts_that_are_read_side_by_side_go_on_as_alone(model: nn.Module):
    read: list[tuple[int, int]] = []

    class Counting(type(model)):
        def __call__(self, tokens: mx.array, *args: object, **options: object) -> mx.array:
            read.append(tokens.shape)
            return super().__call__(tokens, *args, **options)

    own, prompts = type(model), [RAGGED[2][: 5 + place] for place in range(9)]
    request = replace(asked(prompts, THE_POLICY, max_tokens=6, max_rows=9), seeds=range(9))
    model.__class__ = Counting
    try:
        together = generate(model, request)
    finally:
        model.__class__ = own
    # Of each all but its last token: four rows of up to 7, five of up to 12.
    assert [shape for shape in read if shape[1] > 1] == [(4, 7), (5, 12)]
    for index, rollout in enumerate(together):
        (expected,) = generate(model, replace(request, prompts=[prompts[index]], seeds=[index]))
        assert rollout.completion_ids == expected.completion_ids
        assert rollout.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
