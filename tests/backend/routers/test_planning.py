"""Presets, the form, plan, check and pair over HTTP."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from backend.form import PLACES, form_fields, place_of
from backend.paths import NAMED_FILES
from backend.presets import shipped_presets
from OnPolicyDistill.config import parse_config, parse_yaml, settings_of
from tests.backend.tiny import write_jsonl, write_tiny_model


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_tiny_model(root / "student")
    write_tiny_model(root / "stranger", num_base_tokens=270)
    return root


async def test_presets_come_with_their_reasons(client: httpx.AsyncClient) -> None:
    presets = {preset["name"]: preset for preset in (await client.get("/api/presets")).json()}
    assert {"default", "pure_on_policy", "fast_mac"} <= presets.keys()
    pure = presets["pure_on_policy"]
    assert pure["title"] == "Pure on-policy"
    assert "reverse KL" in pure["description"]
    assert all(preset["title"] and preset["description"] for preset in presets.values())
    assert "bits a token" in pure["comments"]["distillation.lora.rank"]
    assert pure["config"]["distillation"]["lora"]["rank"] == 32


def test_a_preset_differs_from_its_file_only_in_where_shipped_data_is() -> None:
    for preset in shipped_presets():
        plain = settings_of(parse_config(parse_yaml(preset.yaml, preset.name))).model_dump()
        for key, value in settings_of(preset.config).model_dump().items():
            if key in NAMED_FILES and plain[key] is not None:
                assert Path(value).is_absolute()
                assert value.endswith(plain[key])
            else:
                assert value == plain[key]


def test_presets_of_a_method_are_named_with_their_folder() -> None:
    presets = {preset.name: preset for preset in shipped_presets()}
    sft = presets["prompt_distillation/sft"]
    assert (sft.config.method, sft.title) == ("sft", "Answers that are there already")


def test_every_setting_has_help_and_a_place_in_the_form() -> None:
    for field in form_fields():
        assert place_of(field.key) in PLACES, field.key
        assert field.help, field.key
        assert field.group != "other"


def test_the_form_has_the_ranges_of_the_config() -> None:
    fields = {field.key: field for field in form_fields()}
    temperature = fields["distillation.temperature"]
    assert (temperature.minimum, temperature.maximum, temperature.default) == (1.0, 4.0, 2.0)
    assert fields["distillation.learning_rate"].above == 0
    assert fields["distillation.divergence"].choices[0] == "reverse_kl"
    assert fields["distillation.eval_prompts"].nullable
    assert fields["distillation.lora.rank"].kind == "integer"
    assert fields["distillation.teacher_model"].kind == "model"


def test_the_form_has_the_settings_of_each_of_several_teachers() -> None:
    fields = {field.key: field for field in form_fields()}
    several = fields["distillation.teachers"]
    assert (several.kind, several.group, several.default) == ("teachers", "models", [])
    parts = {part.key.removeprefix("distillation.teachers."): part for part in several.parts}
    assert list(parts)[:3] == ["name", "model", "endpoint.url"]
    assert (parts["model"].kind, parts["model"].nullable) == ("model", True)
    assert (parts["endpoint.top_k"].maximum, parts["endpoint.top_k"].default) == (4096, 20)
    refresh = parts["student_copy.refresh_every"]
    assert (refresh.minimum, refresh.unit) == (1, "steps")
    for name, part in parts.items():
        assert part.help, name
        assert part.group != "other"
    assert not [key for key in fields if key.startswith("vlm_distillation.teachers")]
    assert not [field for field in form_fields() if field.parts and field != several]


async def test_the_seed_configuration_fits_128_gb(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/api/plan", json={"config": {"distillation": {}}, "memory_gb": 128, "chip": "m3-ultra"}
    )
    assert answer.status_code == 200
    assert answer.json()["verdict"] == "fits"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"config": {"distillation": {"temperature": 9}}}, "invalid_config"),
        ({"config": {"distillation": {}}, "chip": "x99"}, "invalid_input"),
        ({"config": {"distillation": {"student_model": "~nosuchuser/x"}}}, "invalid_config"),
        ({"config": {"distillation": {"prompts": "/dev/zero"}}}, "invalid_config"),
        ({"config": {"distillation": {"prompts": "a\0b"}}}, "invalid_config"),
        ({"config": {"distillation": {"teacher_model": "x" * 5000}}}, "invalid_config"),
        ({"config": {"sft": {"model": "nobody/nothing"}}}, "invalid_model"),
        ({"config": {"distillation": {}}, "memory_gb": 0}, "invalid_request"),
    ],
)
async def test_what_cannot_be_planned_is_said(
    client: httpx.AsyncClient, body: dict[str, object], code: str
) -> None:
    answer = await client.post("/api/plan", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_a_pipe_among_the_files_is_refused_instead_of_waited_for(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for key in ("prompts", "validation_prompts"):
        config = {"distillation": {key: str(tmp_path / "pipe")}}
        for path in ("/api/plan", "/api/check"):
            answer = await client.post(path, json={"config": config})
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["location"] == f"distillation.{key}"


async def test_a_folder_of_one_set_is_a_file_of_data_and_others_are_refused(
    client: httpx.AsyncClient, models: Path, tmp_path: Path
) -> None:
    for name in ("set", "empty"):
        (tmp_path / name).mkdir()
    write_jsonl(tmp_path / "set" / "prompts.jsonl", [{"prompt": f"p {i}"} for i in range(30)])
    pair = {"student_model": str(models / "student"), "teacher_model": str(models / "student")}
    for named in ("set", "set/prompts"):
        config = {"distillation": {**pair, "prompts": str(tmp_path / named)}}
        report = (await client.post("/api/check", json={"config": config})).json()
        assert report["prompts"]["num_prompts"] == 30
    config = {"distillation": {**pair, "prompts": str(tmp_path / "empty")}}
    answer = await client.post("/api/check", json={"config": config})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == "distillation.prompts"


async def test_a_check_finds_the_wrong_line_and_the_wrong_pair(
    client: httpx.AsyncClient, models: Path, tmp_path: Path
) -> None:
    good = write_jsonl(tmp_path / "good.jsonl", [{"prompt": f"p {i}"} for i in range(30)])
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "x"}\n{broken\n')
    settings = {
        "student_model": str(models / "student"),
        "teacher_model": str(models / "stranger"),
        "prompts": str(good),
        "validation_prompts": str(bad),
    }
    report = (await client.post("/api/check", json={"config": {"distillation": settings}})).json()
    assert report["verdict"] == "error"
    assert "line 2" in " ".join(finding["message"] for finding in report["findings"])
    assert report["pair"]["verdict"] == "mismatch"
    assert report["prompts"]["num_prompts"] == 30


async def test_pictures_that_nobody_would_look_at_are_refused_with_their_line(
    client: httpx.AsyncClient, models: Path, tmp_path: Path
) -> None:
    lines = [{"prompt": "a"}, {"prompt": "Which?", "images": ["a.png"]}]
    file = str(write_jsonl(tmp_path / "pictures.jsonl", lines))
    pair = {"student_model": str(models / "student"), "teacher_model": str(models / "student")}
    config = {"distillation": {**pair, "prompts": file, "validation_prompts": file}}
    refused = await client.post("/api/plan", json={"config": config, "memory_gb": 16})
    assert refused.status_code == 422
    assert "pictures.jsonl, line 2: The line has a picture" in refused.json()["detail"]
    report = (await client.post("/api/check", json={"config": config})).json()
    codes = [finding["code"] for finding in report["findings"]]
    assert (report["verdict"], codes.count("unread_picture")) == ("error", 2)


async def test_a_pair_is_compared_by_names(client: httpx.AsyncClient, models: Path) -> None:
    known = await client.post("/api/pair", json={"student": "qwen2.5-7b", "teacher": "qwen2.5-32b"})
    assert (known.json()["verdict"], known.json()["basis"]) == ("ok", "registry")
    folders = {"student": str(models / "student"), "teacher": str(models / "stranger")}
    assert (await client.post("/api/pair", json=folders)).json()["verdict"] == "mismatch"
    unknown = await client.post("/api/pair", json={"student": "nobody/x", "teacher": "a\0b"})
    assert unknown.status_code == 422
