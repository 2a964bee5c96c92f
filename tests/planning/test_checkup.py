"""The check before a run: every reason for a refusal is told at once, with the field to change."""

import json
from pathlib import Path

import pytest
from PIL import Image

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.disk import DiskNeeds
from tests.planning.conftest import CONFIG as MODEL_CONFIG


@pytest.fixture
def settings(model_folder, tmp_path):
    """A run with nothing to complain about."""
    for name, count in (("train", 30), ("held", 25)):
        lines = [f'{{"prompt": "{name}: what is {number} + 1?"}}' for number in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return {
        "student_model": str(model_folder("s")),
        "teacher_model": str(model_folder("t")),
        "prompts": str(tmp_path / "train.jsonl"),
        "validation_prompts": str(tmp_path / "held.jsonl"),
    }


def check(settings, tmp_path, **changes):
    values = {key: value for key, value in (settings | changes).items() if value is not None}
    return check_run(parse_config({"distillation": values}), tmp_path / "not" / "there" / "yet")


def found(report):
    return [(finding.severity, finding.code, finding.field) for finding in report.findings]


def test_a_good_run_has_nothing_to_complain_about(settings, tmp_path):
    report = check(settings, tmp_path)
    assert (report.verdict, report.findings) == ("ok", ())
    assert (report.pair.verdict, report.pair.basis) == ("ok", "files")
    assert (report.prompts.num_prompts, report.validation.num_prompts) == (30, 25)
    assert report.prompts.lengths.unit == "tokens"
    assert report.disk.download_gb == 0
    assert all(need.fits for need in report.disk.needs)


def test_the_disk_has_room_for_the_kept_the_best_the_clocks_and_the_next_checkpoint(
    settings, tmp_path
):
    few = check(settings, tmp_path, keep_checkpoints=1, lora={"rank": 1024}).disk.run_gb
    more = check(settings, tmp_path, keep_checkpoints=5, lora={"rank": 1024}).disk.run_gb
    logs = 0.05
    assert (few - logs) / 4 == pytest.approx((more - logs) / 8, abs=5e-4)
    assert few > logs


def test_missing_files_are_all_told_at_once(settings, tmp_path):
    report = check(settings, tmp_path, prompts=None, validation_prompts=str(tmp_path / "none"))
    assert report.verdict == "error"
    assert found(report) == [
        ("error", "no_file", "distillation.prompts"),
        ("error", "no_file", "distillation.validation_prompts"),
    ]
    assert "No training prompts are named" in report.findings[0].message


def test_a_run_without_held_out_prompts_is_refused_in_words(settings, tmp_path):
    report = check(settings, tmp_path, validation_prompts=None)
    assert "No held-out prompts are named" in report.findings[0].message


def test_a_broken_prompt_file_is_told_with_its_first_line_and_the_count(settings, tmp_path):
    (tmp_path / "train.jsonl").write_text('{"prompt": "a b"}\n{\n{}\n' * 9)
    report = check(settings, tmp_path)
    assert found(report) == [("error", "broken_json", "distillation.prompts")]
    assert "line 2" in report.findings[0].message
    assert "18 lines in all" in report.findings[0].message


def test_a_mismatched_pair_is_an_error_and_a_doubtful_one_a_warning(
    settings, model_folder, tmp_path
):
    other = str(model_folder("other", words=("x", "y", "z", "What", "is", "?")))
    report = check(settings, tmp_path, teacher_model=other)
    assert found(report) == [("error", "tokenizer", "distillation.student_model")]
    itself = check(settings, tmp_path, teacher_model=settings["student_model"])
    assert [finding.severity for finding in itself.findings] == ["warning"]
    assert itself.verdict == "warning"


def test_unknown_models_are_an_error_and_the_files_are_linted_all_the_same(settings, tmp_path):
    report = check(settings, tmp_path, student_model="nobody/nothing")
    assert [finding.code for finding in report.findings] == ["model"]
    assert report.prompts.lengths.unit == "characters"
    assert report.disk is None


def test_a_few_leaked_prompts_are_a_warning_and_many_an_error(settings, tmp_path):
    with (tmp_path / "held.jsonl").open("a") as held:
        held.write('\n{"prompt": "Train: what is 7 + 1?"}')
    field = "distillation.validation_prompts"
    assert found(check(settings, tmp_path)) == [("warning", "leaked", field)]
    with (tmp_path / "held.jsonl").open("a") as held:
        held.write('\n{"prompt": "train: what is 8 + 1?"}')
    report = check(settings, tmp_path)
    assert found(report) == [("error", "leaked", field)]
    assert "2 of 27 held-out prompts are trained on as well." in report.findings[0].message
    train, held = settings["prompts"], settings["validation_prompts"]
    assert f"opd data separate {train} {held} train-apart.jsonl" in report.findings[0].fix


def test_the_same_content_for_training_and_validation_is_refused_under_any_name(settings, tmp_path):
    field = "distillation.validation_prompts"
    (tmp_path / "held.jsonl").write_bytes((tmp_path / "train.jsonl").read_bytes())
    copied = check(settings, tmp_path)
    assert found(copied) == [("error", "leaked", field)]
    assert "30 of 30 held-out prompts" in copied.findings[0].message
    same = check(settings, tmp_path, validation_prompts=settings["prompts"])
    assert found(same) == [("error", "leaked", field)]
    assert "are the same file" in same.findings[0].message
    for report in (copied, same):
        assert "opd data split" in report.findings[0].fix
        assert "separate" not in report.findings[0].fix


@pytest.mark.parametrize("key", ["student_model", "teacher_model"])
def test_a_model_that_nobody_knows_is_told_at_its_own_setting(settings, tmp_path, key):
    report = check(settings, tmp_path, **{key: "nobody/nothing"})
    assert found(report) == [("error", "model", f"distillation.{key}")]
    both = check(settings, tmp_path, student_model="no/one", teacher_model="no/two")
    fields = "distillation.student_model, distillation.teacher_model"
    assert sorted(both.findings[0].field.split(", ")) == fields.split(", ")


def test_a_handful_of_held_out_prompts_is_a_warning(settings, tmp_path):
    (tmp_path / "held.jsonl").write_text('{"prompt": "one two"}\n{"prompt": "three"}')
    assert "few_held_out" in [finding.code for finding in check(settings, tmp_path).findings]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"num_steps": 50, "warmup_steps": 50}, "warmup_steps"),
        ({"num_steps": 2, "warmup_ratio": 0.9}, "warmup_ratio"),
        # 30 prompts, 8 rows a step: 4 steps an epoch.
        ({"num_epochs": 2, "warmup_steps": 8}, "warmup_steps"),
    ],
)
def test_a_warm_up_as_long_as_the_run_is_warned_of_at_its_setting(settings, tmp_path, changes, key):
    report = check(settings, tmp_path, **changes)
    assert found(report) == [("warning", "endless_warmup", f"distillation.{key}")]
    assert "never reaches 1e-05" in report.findings[0].message


@pytest.mark.parametrize(
    "changes",
    [
        {"num_steps": 50, "warmup_steps": 49},
        {"num_epochs": 2, "num_steps": 1, "warmup_steps": 7},
        {"num_steps": 50, "warmup_ratio": 0.5, "warmup_steps": 99},
    ],
)
def test_a_warm_up_that_ends_before_the_run_is_fine(settings, tmp_path, changes):
    assert check(settings, tmp_path, **changes).findings == ()


def test_an_adapter_folder_must_hold_an_adapter(settings, tmp_path):
    report = check(settings, tmp_path, student_adapter=str(tmp_path))
    assert found(report) == [("error", "adapter", "distillation.student_adapter")]
    assert "has no adapter_config.json" in report.findings[0].message


def test_a_teachers_adapter_is_looked_for_too(settings, tmp_path):
    report = check(settings, tmp_path, teacher_adapter=str(tmp_path))
    assert found(report) == [("error", "adapter", "distillation.teacher_adapter")]


def test_models_that_are_not_here_count_as_downloads(settings, tmp_path):
    report = check(
        settings, tmp_path, student_model="qwen3-vl-235b-a22b", teacher_model="qwen3-vl-235b-a22b"
    )
    assert report.disk.download_gb == pytest.approx(471, abs=1)
    enough = all(need.fits for need in report.disk.needs)
    assert ("disk" in [finding.code for finding in report.findings]) is not enough


@pytest.mark.parametrize(
    ("download", "free", "run", "enough"),
    [(0, 0, 1, True), (10, 9, 1, False), (10, 12, 1, True), (0, 0, 100, False)],
)
def test_both_disks_need_room(download, free, run, enough):
    needs = disk(download, free, run, 50)
    assert all(need.fits for need in needs.needs) is enough


def disk(download, download_free, run, run_free, one=False):
    return DiskNeeds(
        download_gb=download,
        download_free_gb=download_free,
        run_gb=run,
        run_free_gb=run_free,
        is_one_disk=one,
    )


def test_one_disk_has_to_hold_both():
    assert [need.fits for need in disk(30, 50, 30, 50, one=True).needs] == [False]
    assert [need.fits for need in disk(30, 50, 30, 50).needs] == [True, True]


@pytest.mark.parametrize(
    ("free", "told"),
    [
        (0.05, ("error", "disk")),
        (0.5, ("warning", "disk_nearly_full")),
        (50.0, None),
    ],
)
def test_the_disk_is_too_full_only_when_it_is(settings, tmp_path, monkeypatch, free, told):
    monkeypatch.setattr("OnPolicyDistill.planning.disk._free_gb", lambda folder: free)
    report = check(settings, tmp_path)
    codes = [(each.severity, each.code) for each in report.findings if "disk" in each.code]
    assert codes == ([] if told is None else [told])
    if told is not None:
        message = next(each.message for each in report.findings if "disk" in each.code)
        assert f"{free:g} GB are free" in message
        assert "download" not in message


@pytest.mark.parametrize(("positions", "told"), [(64, True), (4096, False)])
def test_rows_beyond_a_models_positions_are_warned_of(
    settings, tmp_path, model_folder, positions, told
):
    config = {**MODEL_CONFIG, "max_position_embeddings": positions}
    short = str(model_folder("short", config=config))
    report = check(settings, tmp_path, student_model=short, max_generation_tokens=80)
    found = [each for each in report.findings if each.code == "long_positions"]
    assert [each.field for each in found] == (["distillation.student_model"] if told else [])
    assert not told or "knows 64 positions" in found[0].message


def test_supervised_fine_tuning_needs_its_files(tmp_path, model_folder):
    values = {"model": str(model_folder("s")), "validation_conversations": "nowhere.jsonl"}
    report = check_run(parse_config({"sft": values}), tmp_path)
    assert found(report) == [
        ("error", "no_file", "sft.conversations"),
        ("error", "no_file", "sft.validation_conversations"),
    ]


@pytest.mark.parametrize("method", ["on_policy", "sft", "grpo", "prompt_distillation"])
def test_a_student_that_does_not_stop_where_its_template_ends_is_warned_of(
    method, tmp_path, model_folder
):
    base = str(model_folder("base", ends=("<|endoftext|>",)))
    values = {
        "on_policy": {"distillation": {"student_model": base, "teacher_model": base}},
        "sft": {"sft": {"model": base}},
        "grpo": {"grpo": {"model": base, "rewards": [{"kind": "exact"}]}},
        "prompt_distillation": {"prompt_distillation": {"student_model": base}},
    }[method]
    report = check_run(parse_config({"method": method} | values), tmp_path)
    told = next(finding for finding in report.findings if finding.code == "turn_without_stop")
    assert told.severity == "warning"
    assert "ends a turn with <|im_end|>, and its stop tokens are <|endoftext|>" in told.message
    assert "Name <|im_end|> as eos_token" in told.fix


def test_conversations_are_checked_line_by_line_and_for_leaks(tmp_path, model_folder):
    line = '{"prompt": "a", "completion": "b"}\n'
    train, held_out = tmp_path / "train.jsonl", tmp_path / "held_out.jsonl"
    train.write_text(line + "nonsense\n")
    held_out.write_text(line)
    files = {"conversations": str(train), "validation_conversations": str(held_out)}
    values = {"model": str(model_folder("s")), **files}
    report = check_run(parse_config({"sft": values}), tmp_path)
    assert found(report)[:2] == [
        ("error", "broken_json", "sft.conversations"),
        ("error", "leaked", "sft.validation_conversations"),
    ]
    assert "train.jsonl, line 2" in report.findings[0].message


def prompted(model_folder, tmp_path, **changes):
    """Check a run of prompt distillation whose files are in order but for `changes`."""
    (tmp_path / "prompt.md").write_text("What is it? a b")
    (tmp_path / "inputs.csv").write_text("text,label\na b,x\nb a,y\n")
    (tmp_path / "held.txt").write_text("what is\n")
    values = {
        "student_model": str(model_folder("s")),
        "teacher_model": str(model_folder("t")),
        "teacher_prompt": str(tmp_path / "prompt.md"),
        "inputs": str(tmp_path / "inputs.csv"),
        "validation_inputs": str(tmp_path / "held.txt"),
        **changes,
    }
    return check_run(parse_config({"prompt_distillation": values}), tmp_path / "there")


def test_the_files_of_prompt_distillation_are_linted_and_its_prompt_is_measured(
    model_folder, tmp_path
):
    report = prompted(model_folder, tmp_path)
    assert (report.verdict, report.findings) == ("ok", ())
    assert (report.prompts.num_prompts, report.prompts.num_answers) == (2, 2)
    assert report.validation.num_prompts == 1
    assert (report.teacher_prompt.unit, report.pair) == ("tokens", None)
    assert 0 < report.teacher_prompt.length < len("What is it? a b")


def test_what_cannot_work_in_prompt_distillation_is_told_at_its_field(model_folder, tmp_path):
    (tmp_path / "empty.md").write_text(" \n")
    (tmp_path / "bad.jsonl").write_text('{"text": "a"}\n{\n')
    changes = {
        "teacher_prompt": str(tmp_path / "empty.md"),
        "inputs": str(tmp_path / "bad.jsonl"),
        "validation_inputs": None,
    }
    report = prompted(model_folder, tmp_path, **changes)
    assert found(report) == [
        ("error", "no_text", "prompt_distillation.teacher_prompt"),
        ("error", "broken_json", "prompt_distillation.inputs"),
        ("error", "no_file", "prompt_distillation.validation_inputs"),
    ]
    assert "line 2" in report.findings[1].message


def test_many_held_out_inputs_that_are_trained_on_are_an_error(model_folder, tmp_path):
    leaked = tmp_path / "leaked.txt"
    field = "prompt_distillation.validation_inputs"
    leaked.write_text("A  b\n")
    report = prompted(model_folder, tmp_path, validation_inputs=str(leaked), labels=["x"])
    assert found(report) == [("error", "leaked", field)]
    assert report.prompts.counts == {"unknown_label": 1}


def test_a_few_held_out_inputs_that_are_trained_on_are_a_warning(model_folder, tmp_path):
    leaked, field = tmp_path / "leaked.txt", "prompt_distillation.validation_inputs"
    leaked.write_text("A  b\n" + "".join(f"is it {number}\n" for number in range(19)))
    few = prompted(model_folder, tmp_path, validation_inputs=str(leaked))
    assert found(few) == [("warning", "leaked", field)]
    assert few.findings[0].fix == "They will not be trained on."


@pytest.mark.parametrize("training", ["sft", "on_policy"])
def test_a_model_that_nobody_knows_is_told_once_at_the_field_that_names_it(
    model_folder, tmp_path, training
):
    report = prompted(model_folder, tmp_path, student_model="nobody/nothing", training=training)
    assert found(report) == [("error", "model", "prompt_distillation.student_model")]


def evaluated(model_folder, tmp_path, text, **changes):
    """Check an evaluation of one variant on items of this text."""
    (tmp_path / "items.csv").write_text(text)
    model = model_folder(f"model {len(changes)}")
    variant = {"name": "a", "model": str(model), **changes.pop("variant", {})}
    values = {"variants": [variant], "inputs": str(tmp_path / "items.csv"), **changes}
    return check_run(parse_config({"evaluation": values}), tmp_path / "there")


def test_labelled_items_are_linted_before_anybody_answers_them(model_folder, tmp_path):
    report = evaluated(model_folder, tmp_path, "text,label\na b,x\nb,y,z\n")
    assert found(report) == [("error", "columns", "evaluation.inputs")]
    assert "line 3" in report.findings[0].message
    assert report.validation.num_answers == 1


def test_items_without_gold_need_a_list_of_labels(model_folder, tmp_path):
    report = evaluated(model_folder, tmp_path, "a b\nb a\n")
    assert found(report) == [("error", "no_labels", "evaluation.inputs")]
    assert evaluated(model_folder, tmp_path, "a b\nb a\n", labels=["x"]).verdict == "ok"


def test_an_unknown_model_of_a_variant_is_told_at_the_variant(model_folder, tmp_path):
    report = evaluated(
        model_folder, tmp_path, "text,label\na,x\n", variant={"model": "nobody/nothing"}
    )
    assert found(report) == [("error", "model", "evaluation.variants.0.model")]


def test_the_warm_up_of_every_method_is_held_against_the_rows_it_has(model_folder, tmp_path):
    # Two inputs, of which one is taken: an epoch is one step.
    endless = {"num_epochs": 3, "warmup_steps": 3, "max_inputs": 1, "batch_size": 1}
    report = prompted(model_folder, tmp_path, gradient_accumulation_steps=1, **endless)
    assert found(report) == [("warning", "endless_warmup", "prompt_distillation.warmup_steps")]
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    file = tmp_path / "conversations.jsonl"
    file.write_text(json.dumps({"messages": turns}) + "\n")
    values = {"conversations": str(file), "num_epochs": 9, "warmup_steps": 9}
    report = check_run(parse_config({"sft": values}), tmp_path)
    assert ("warning", "endless_warmup", "sft.warmup_steps") in found(report)


def test_training_every_weight_of_a_quantized_model_is_refused_at_the_adapter(
    model_folder, tmp_path
):
    packed = {**MODEL_CONFIG, "quantization": {"bits": 4, "group_size": 64}}
    for name, config, code in (("p", packed, ["quantized"]), ("f", MODEL_CONFIG, [])):
        values = {"model": str(model_folder(name, config=config)), "lora": None}
        report = check_run(parse_config({"sft": values}), tmp_path / "there")
        assert [f.code for f in report.findings if f.field == "sft.lora"] == code


def test_fine_tuning_of_a_model_that_sees_takes_pictures_and_tells_of_shared_ones(
    model_folder, tmp_path
):
    Image.new("RGB", (640, 320)).save(tmp_path / "a.png")
    lines = [
        {"prompt": "a ?", "completion": "b", "images": ["a.png"]},
        {"prompt": "b ?", "completion": "c"},
    ]
    for name in ("train", "held"):
        text = "\n".join(
            json.dumps({**line, "prompt": f"{name} {line['prompt']}"}) for line in lines
        )
        (tmp_path / f"{name}.jsonl").write_text(text)
    tower = {"patch_size": 16, "spatial_merge_size": 2}
    seeing = {
        "model_type": "qwen3_vl",
        "vision_config": tower,
        "text_config": MODEL_CONFIG,
    }
    reports = {}
    for name, config in (("words", MODEL_CONFIG), ("sees", seeing)):
        values = {
            "model": str(model_folder(name, config=config)),
            "conversations": str(tmp_path / "train.jsonl"),
            "validation_conversations": str(tmp_path / "held.jsonl"),
        }
        reports[name] = check_run(parse_config({"sft": values}), tmp_path)
    assert {code for _, code, _ in found(reports["words"])} >= {"unread_picture"}
    told = found(reports["sees"])
    assert ("warning", "leaked_picture", "sft.validation_conversations") in told
    assert not [code for _, code, _ in told if code == "unread_picture"]
    assert reports["sees"].prompts.pictures.total_tokens == 20 * 10
    assert reports["sees"].prompts.lengths.longest >= 20 * 10


@pytest.mark.parametrize("role", ["student_model", "teacher_model"])
def test_an_architecture_that_cannot_do_it_is_refused_from_config_json_alone(
    settings, tmp_path, role
):
    folder = Path(settings[role])
    (folder / "config.json").write_text('{"model_type": "bitnet"}')
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    (refused,) = [
        finding for finding in check(settings, tmp_path).findings if finding.code == "architecture"
    ]
    assert (refused.severity, refused.field) == ("error", f"distillation.{role}")
    assert "architecture bitnet" in refused.message
    assert "no gradient" in refused.message
    assert "opd models architectures" in refused.fix
