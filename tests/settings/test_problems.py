import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"distillation": {"tempratur": 2}}, "no such setting (is it temperature?)"),
        ({"distillation": {"lora": {"rnk": 2}}}, "(is it rank?)"),
        ({"distillation": {"quux": 2}}, "distillation.quux: there is no such setting."),
        ({"distillation": {"num_steps": "x"}}, "a whole number is wanted, not 'x'"),
        ({"distillation": {"kl_weight": -3}}, "must be 0 or more, not -3"),
        ({"distillation": {"divergence": "kl"}}, "'reverse_kl', 'forward_kl'"),
        ({"distillation": {"lora": [1, 2]}}, "settings are wanted here, not a list"),
        ({"sft": {"num_epochs": [2]}}, "a number is wanted, not a list"),
        ({"method": "ppo"}, "is wanted, not 'ppo'"),
        ({"distilation": {}}, "Is distilation meant to be distillation?"),
    ],
)
def test_a_wrong_setting_is_told_in_plain_words(values: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(values)
    assert said in str(caught.value)
