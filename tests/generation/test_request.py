import pytest

from OnPolicyDistill.generation.request import GenerationRequest


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompts": [[1], []], "seeds": [0, 1]}, "Prompt 1 is empty"),
        ({"prompts": [[1, 10]]}, "Prompt 0 has a token outside 0 to 9"),
        ({"prompts": [[-1]]}, "Prompt 0 has a token outside 0 to 9"),
        ({"seeds": [0, 1]}, "1 prompts, but 2 seeds"),
        ({"seeds": [-1]}, "Seeds must be whole numbers"),
        ({"max_tokens": 0}, "max_tokens and max_rows"),
        ({"max_rows": 0}, "max_tokens and max_rows"),
        ({"num_top_logprobs": 11}, "num_top_logprobs"),
        ({"banned_ids": frozenset([10])}, "banned_ids"),
        ({"banned_ids": frozenset(range(10))}, "banned_ids"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused_in_words(
    given: dict[str, object], message: str
):
    sound: dict[str, object] = {
        "prompts": [[1]],
        "seeds": [0],
        "stop_ids": frozenset([2]),
        "vocab_size": 10,
        "max_tokens": 5,
    }
    GenerationRequest(**sound)
    with pytest.raises(ValueError, match=message):
        GenerationRequest(**(sound | given))
