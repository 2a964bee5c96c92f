"""What files hold is said as they hold it."""

import pytest

from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.planning.precision import precision_of_folder, stored_precision
from OnPolicyDistill.planning.weights import StoredTensor


@pytest.mark.parametrize(("model", "words"), [("tiny-teacher", "32 bit"), ("tiny-phi3", "16 bit")])
def test_embedded_models_are_stored_as_their_headers_say(model, words):
    assert precision_of_folder(shipped_folder("data") / "models" / model).words == words


@pytest.mark.parametrize(
    ("packing", "bits", "words"),
    [
        ({"bits": 4, "group_size": 64}, 4, "4 bit"),
        ({"bits": 4, "lm_head": {"bits": 8}, "model.layers.0": False}, 4, "4 bit, parts in 8"),
        ({"bits": 3, "a": {"bits": 6}, "b": {"bits": 4}}, 3, "3 bit, parts in 4 and 6"),
    ],
)
def test_packed_weights_have_the_bits_of_the_config(packing, bits, words):
    tensors = {"w": StoredTensor(8, (2,), "U32")}
    found = stored_precision({"quantization": packing}, tensors)
    assert (found.bits, found.words) == (bits, words)


def test_the_type_that_most_bytes_have_counts():
    tensors = {"norm": StoredTensor(8, (2,), "F32"), "w": StoredTensor(64, (4, 8), "F16")}
    assert stored_precision({}, tensors).words == "16 bit"


def test_experts_that_were_published_packed_are_named():
    config = {"quantization_config": {"quant_method": "mxfp4"}}
    assert stored_precision(config, {}).words == "16 bit, experts in 4"
