import pytest

from OnPolicyDistill.divergences import Divergence
from OnPolicyDistill.losses.objective import Objective


@pytest.mark.parametrize(
    ("divergence", "temperature", "kl_weight", "ce_weight", "teacher_weight"),
    [
        ("sampled_reverse_kl", 2.0, 1.0, 0.0, 0.5),
        ("reverse_kl", 0.0, 1.0, 0.0, 0.5),
        ("reverse_kl", float("nan"), 1.0, 0.0, 0.5),
        ("reverse_kl", 1.0, -1.0, 0.0, 0.5),
        ("reverse_kl", 1.0, 1.0, -0.1, 0.5),
        ("jsd", 1.0, 1.0, 0.0, 1.0),
        ("jsd", 1.0, 1.0, 0.0, 0.0),
    ],
)
def test_numbers_without_meaning_are_refused(
    divergence: Divergence,
    temperature: float,
    kl_weight: float,
    ce_weight: float,
    teacher_weight: float,
) -> None:
    with pytest.raises(ValueError, match=r"temperature|weight"):
        Objective(
            divergence=divergence,
            temperature=temperature,
            kl_weight=kl_weight,
            ce_weight=ce_weight,
            teacher_weight=teacher_weight,
        )


def test_the_sampled_form_exists_at_temperature_one() -> None:
    sampled = Objective(
        divergence="sampled_reverse_kl",
        temperature=1.0,
        kl_weight=1.0,
        ce_weight=0.0,
        teacher_weight=0.5,
    )
    assert sampled.temperature == 1
