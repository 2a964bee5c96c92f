"""What pictures add to a forecast: towers, kept features, and looking at them."""

from __future__ import annotations

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.check_report import CheckReport
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.chips import find_chip
from OnPolicyDistill.planning.lengths import measure_prompts
from OnPolicyDistill.planning.looks import features_fit, look_seconds
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.planning.plan import Plan, plan_run
from OnPolicyDistill.planning.vision import parse_vision
from OnPolicyDistill.planning.workload import Workload, make_workload


def seeing(**settings: object) -> object:
    return {"method": "vlm_distillation", "vlm_distillation": settings}


def planned(**settings: object) -> Plan:
    return plan_run(parse_config(seeing(**settings)), memory_gb=128, chip="m4-max")


def work_of(**settings: object) -> Workload:
    config = parse_config(seeing(**settings))
    return make_workload(config, measure_prompts(config), 64)


def test_a_picture_costs_as_many_tokens_as_its_pixels_have_places() -> None:
    assert planned(max_pixels=1_048_576).prompt_tokens == 128 + 1024
    assert planned(max_pixels=262_144).prompt_tokens == 128 + 256
    older = planned(student_model="qwen2.5-vl-7b", teacher_model="qwen2.5-vl-7b")
    assert older.prompt_tokens == 128 + 1337


def test_towers_are_named_apart_and_counted_once() -> None:
    plan = planned()
    towers = [
        describe_model(name).dimensions.vision_parameters
        for name in ("qwen3-vl-4b-thinking", "qwen3-vl-30b-a3b-thinking")
    ]
    assert plan.parts["vision_towers"] == pytest.approx(2 * sum(towers) / 1e9, abs=0.01)
    assert plan.teacher is not None
    whole = plan.student.weights_gb + plan.teacher.weights_gb
    parts = plan.parts["student"] + plan.parts["teacher"] + plan.parts["vision_towers"]
    assert parts == pytest.approx(whole, abs=0.02)


def test_kept_features_are_bounded_by_their_cache() -> None:
    # 1,024 places: 20.5 KB each of the 4B's and 16.4 KB of the 30B-A3B's features.
    one = 1024 * (2560 + 2048) * 4 * 2
    roomy = planned(picture_cache_mb=100_000)
    assert roomy.parts["picture_features"] == pytest.approx(one * (1000 + 64) / 1e9, abs=0.02)
    # Each of the two models keeps its own.
    assert planned(picture_cache_mb=500).parts["picture_features"] == pytest.approx(1.0, abs=0.01)


def test_pictures_are_looked_at_once_where_features_fit_and_each_step_where_not() -> None:
    kept, forgotten = planned(picture_cache_mb=100_000), planned(picture_cache_mb=0)
    work, chip = work_of(), find_chip("m4-max")
    assert work.teacher is not None
    looks = look_seconds(work.student, work, chip) + look_seconds(work.teacher, work, chip)
    assert looks > 0
    more = forgotten.step.total - kept.step.total
    assert more == pytest.approx(work.settings.rows_per_step * looks, rel=0.02)
    assert kept.preparing_seconds - forgotten.preparing_seconds == pytest.approx(
        1000 * looks, rel=0.02
    )
    assert features_fit(work_of(picture_cache_mb=100_000)) is True
    assert features_fit(work_of(picture_cache_mb=0)) is False


def test_a_look_needs_more_than_the_number_of_patches_says() -> None:
    vision = describe_model("qwen3-vl-4b-thinking").dimensions.vision
    assert vision is not None
    small, large = vision.look_bytes(64), vision.look_bytes(256)
    assert 4 * small < large
    # 31 to 36 floats a patch and unit of width at 256 patches, 40 to 48 at 1,024.
    assert 31 <= small / (4 * 256 * vision.width) <= 38
    assert 40 <= large / (4 * 1024 * vision.width) <= 50


def test_a_text_model_is_refused_by_name_before_anything_is_forecast() -> None:
    with pytest.raises(ModelError, match=r"qwen2\.5-7b is a text model"):
        planned(student_model="qwen2.5-7b")


def test_a_plan_of_a_text_model_names_it_and_not_the_pictures() -> None:
    with pytest.raises(ModelError, match=r"qwen2\.5-7b is a text model"):
        planned(student_model="qwen2.5-7b", prompts="data/squares/train.jsonl")


def found(report: CheckReport) -> dict[str, str]:
    return {finding.code: finding.message for finding in report.findings}


def test_the_check_says_who_does_not_see_and_who_sees_otherwise() -> None:
    blind = check_run(parse_config(seeing(teacher_model="qwen2.5-7b")))
    assert "text model" in found(blind)["sees_nothing"]
    assert len(blind.findings) == 1
    other = check_run(parse_config(seeing(teacher_model="qwen2.5-vl-7b")))
    assert "places of 32 pixels" in found(other)["different_sight"]
    assert "into 28:" in found(other)["different_sight"]
    assert "different_sight" not in found(check_run(parse_config(seeing())))


def test_a_tower_that_is_not_known_counts_as_none() -> None:
    assert parse_vision(None, "llama") is None
    assert parse_vision({"model_type": "siglip", "hidden_size": 8}, "llava") is None


def test_models_come_from_the_environment_where_a_config_names_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPD_STUDENT_MODEL", "qwen3-vl-2b-thinking")
    monkeypatch.setenv("OPD_TEACHER_MODEL", "")
    plan = planned()
    assert plan.student.name == "qwen3-vl-2b-thinking"
    assert plan.teacher is not None
    assert plan.teacher.name == "qwen3-vl-30b-a3b-thinking"
    assert planned(student_model="qwen3-vl-8b-thinking").student.name == "qwen3-vl-8b-thinking"


def test_pictures_of_a_file_are_measured_as_the_student_reads_them() -> None:
    files = {
        "prompts": "data/squares/train.jsonl",
        "validation_prompts": "data/squares/held_out.jsonl",
    }
    # 96 x 96 pixels are enlarged to 65,536, which are 64 tokens; unenlarged they are 9.
    enlarged, plain = planned(**files), planned(**files, min_pixels=1024)
    assert enlarged.prompt_tokens - plain.prompt_tokens == 64 - 9
    assert work_of(**files).prompts.num_prompts == 320
    report = check_run(parse_config(seeing(**files)))
    assert report.prompts is not None
    assert report.validation is not None
    assert (report.prompts.num_errors, report.validation.num_leaked) == (0, 0)
