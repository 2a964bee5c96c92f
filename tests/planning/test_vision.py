import json
from pathlib import Path

import pytest

from OnPolicyDistill.models.parameters import count_parameters
from OnPolicyDistill.models.vision_config import mlx_config
from OnPolicyDistill.models.vision_loading import lay_out
from OnPolicyDistill.planning.dimensions import num_parameters, parse_dimensions
from tests.seeing_models import FAMILIES, tiny_config, write_seeing_model

REFERENCES = Path(__file__).parents[1] / "references"


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_counted_as_the_model_has_them_in_every_spelling(family, tmp_path):
    older = tiny_config(family)
    newer = json.loads((REFERENCES / f"{family}.config.json").read_text())
    nameless = {**older["vision_config"]}
    nameless.pop("model_type")
    model = lay_out(mlx_config(older), write_seeing_model(tmp_path, family))
    counted = count_parameters(model.parameters())
    for config in (older, newer, {**older, "vision_config": nameless}):
        assert num_parameters(parse_dimensions(config, family)) == counted
