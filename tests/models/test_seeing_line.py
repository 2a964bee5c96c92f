"""A tower before a language model that knows nothing of pictures, with a projector between them."""

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.models import qwen3

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.generation.loop import generate
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.models.embedded import initialize
from OnPolicyDistill.models.layout import output_head
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.models.seeing import FeatureShelf, SeeingModel
from tests.seeing_models import LOGIT_WIDTH, TEXT, VOCAB_SIZE, a_picture, write_seeing_model

WIDTH = 32


@pytest.fixture
def model(tmp_path: Path) -> SeeingModel:
    donor = load_policy(str(write_seeing_model(tmp_path, "qwen2_5_vl"))).model
    assert isinstance(donor, SeeingModel)
    changes = {"model_type": "qwen3", "hidden_size": WIDTH, "head_dim": 8}
    words = qwen3.Model(qwen3.ModelArgs.from_dict(TEXT | changes))
    projector = nn.Linear(64, WIDTH, bias=False)
    initialize(words, 1)
    initialize(projector, 2)
    grafted = SeeingModel(donor.vision_tower, words, donor.sight, "line", projector)
    grafted.shelf = FeatureShelf(10**6)
    grafted.freeze()
    grafted.eval()
    return grafted


def row(model: SeeingModel) -> list[int]:
    return [1, 2, *model.book.ids_of(a_picture(model.sight, 3, 4, 1)), 5, 6]


def test_places_are_consecutive_words_to_it_and_sampling_agrees_with_scoring(
    model: SeeingModel,
) -> None:
    prompts = [row(model), [7, 8, 9], [3, *row(model), *row(model)]]
    stops = frozenset(range(40, 80))
    request = GenerationRequest(prompts, [1, 2, 3], stops, VOCAB_SIZE, 10, max_rows=2)
    for rollout in generate(model, request):
        logits = model(mx.array([rollout.token_ids]))[0, len(rollout.prompt_ids) - 1 : -1]
        assert logits.shape[-1] == LOGIT_WIDTH
        logits = logits[:, :VOCAB_SIZE]
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        labels = mx.array(rollout.completion_ids)[:, None]
        again = mx.take_along_axis(logprobs, labels, axis=-1)[:, 0].tolist()
        assert rollout.logprobs == pytest.approx(again, abs=1e-5)


def test_the_projector_learns_behind_features_that_are_kept(model: SeeingModel) -> None:
    model.projector.unfreeze()
    tokens = mx.array([row(model)])

    def loss(model: SeeingModel) -> mx.array:
        hidden = hidden_states(model, tokens)[0, -1:]
        return -output_head(model, VOCAB_SIZE).plain_logits(hidden)[0, 7]

    for _ in range(2):
        value, gradient = nn.value_and_grad(model, loss)(model)
        mx.eval(value)
    (name, learned), *rest = flat_arrays(gradient).items()
    assert (name, rest) == ("projector.weight", [])
    assert (model.shelf.misses, model.shelf.hits) == (1, 1)
    assert as_float(mx.abs(learned).max()) > 0
    step = 1e-2 / as_float(mx.linalg.norm(learned))
    model.projector.weight = model.projector.weight - step * learned
    assert as_float(loss(model)) < as_float(value)


def test_names_of_its_weights_say_which_part_they_are_of(model: SeeingModel) -> None:
    assert set(model.parameters()) == {"vision_tower", "projector", "language_model"}
