"""The linter looks at every picture once: broken, large, repeated and leaked ones are told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from OnPolicyDistill.datasets import picture_linter
from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.input_linter import lint_inputs
from OnPolicyDistill.datasets.kinds import lint_file
from OnPolicyDistill.datasets.linter import LintReport, Ruler, lint_prompts
from OnPolicyDistill.datasets.picture_linter import MANY_USES
from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT, sight_of_folder
from OnPolicyDistill.errors import ModelError

RULER = Ruler(sight=DEFAULT_SIGHT)
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def draw(folder: Path, name: str, shade: int, size: tuple[int, int] = (320, 320)) -> str:
    Image.new("RGB", size, (shade, 0, 0)).save(folder / name)
    return name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(10):
        draw(tmp_path, f"{number}.png", number)
    return tmp_path


def clean(first: int = 0) -> list[dict[str, object]]:
    return [
        {"prompt": f"What is number {NUMBERS[n]}?", "images": [f"{n}.png"], "answer": str(n)}
        for n in range(first, 10)
    ]


def write(folder: Path, lines: list[dict[str, object]], name: str = "set.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


def codes(report: LintReport) -> list[tuple[int | None, str]]:
    return [(finding.line, finding.code) for finding in report.findings]


def test_a_clean_set_is_told_by_its_pictures_and_their_tokens(folder: Path) -> None:
    report = lint_prompts(write(folder, clean()), None, RULER)
    assert (report.verdict, report.findings) == ("ok", ())
    facts = report.pictures
    assert facts is not None
    assert (facts.num_pictures, facts.num_different, facts.num_lines) == (10, 10, 10)
    assert (facts.median_tokens, facts.longest_tokens, facts.total_tokens) == (100, 100, 1000)
    assert (facts.largest_width, facts.largest_height) == (320, 320)
    words = len("What is number three?")
    assert report.lengths.longest == words + 4 * 100


def test_a_set_without_pictures_has_nothing_to_say_of_them(folder: Path) -> None:
    report = lint_prompts(write(folder, [{"prompt": "a"}]), None, RULER)
    assert report.pictures is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.png", None, "no such picture"),
        ("text.png", b"words", "no picture"),
        ("cut.png", "cut", "damaged"),
    ],
)
def test_a_broken_picture_is_an_error_with_its_line(
    folder: Path, name: str, content: bytes | str | None, words: str
) -> None:
    if content == "cut":
        content = (folder / "1.png").read_bytes()[:-40]
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    report = lint_prompts(
        write(folder, [*clean(), {"prompt": "And?", "images": [name]}]), None, RULER
    )
    assert codes(report)[-1] == (11, "picture")
    assert words in report.findings[-1].message
    assert name in report.findings[-1].message
    assert report.verdict == "error"
    assert report.pictures is not None
    assert (report.pictures.num_broken, report.pictures.num_pictures) == (1, 11)


def test_a_picture_that_is_no_more_than_a_line_is_an_error(folder: Path) -> None:
    draw(folder, "thin.png", 1, (500, 1))
    report = lint_prompts(
        write(folder, [*clean(), {"prompt": "?", "images": ["thin.png"]}]), None, RULER
    )
    assert (11, "picture") in codes(report)


def test_pictures_outside_the_limits_are_counted(folder: Path) -> None:
    draw(folder, "large.png", 1, (2000, 1000))
    draw(folder, "small.png", 1, (32, 32))
    lines = [{"prompt": f"{n}?", "images": [f"{n}.png"]} for n in ("large", "small")]
    report = lint_prompts(write(folder, [*clean(), *lines]), None, RULER)
    told = {finding.code: finding.message for finding in report.findings}
    assert told["scaled_down"].startswith("1 picture is larger than 1,048,576 pixels")
    assert told["enlarged"].startswith("1 picture is smaller than 65,536 pixels")
    assert report.verdict == "warning"  # one line has no answer where the others have


def test_the_same_words_about_the_same_picture_are_a_duplicate_whatever_it_is_called(
    folder: Path,
) -> None:
    Image.open(folder / "3.png").save(folder / "copy.bmp")
    again = {**clean()[3], "images": ["copy.bmp"]}
    other = {**clean()[3], "images": ["4.png"]}
    report = lint_prompts(write(folder, [*clean(), again, other]), None, RULER)
    assert codes(report) == [(None, "same_picture"), (11, "duplicate")]
    assert report.findings[0].message == "1 picture is there under several names."
    assert report.pictures is not None
    assert (report.pictures.num_pictures, report.pictures.num_different) == (12, 10)


def test_a_picture_that_many_prompts_ask_about_is_pointed_out(folder: Path) -> None:
    lines = [{**clean()[0], "prompt": f"Is it {word}?"} for word in NUMBERS[: MANY_USES - 2]]
    few = lint_prompts(write(folder, [*clean(), *lines]), None, RULER)
    assert codes(few) == []
    more = [*clean(), *lines, {**clean()[0], "prompt": "Well?"}]
    report = lint_prompts(write(folder, more), None, RULER)
    assert codes(report) == [(None, "many_uses")]
    assert f"{MANY_USES} times, first on line 1" in report.findings[0].message


def test_prompts_with_and_without_pictures_in_one_set_are_pointed_out(folder: Path) -> None:
    report = lint_prompts(write(folder, [*clean(), {"prompt": "And?", "answer": "1"}]), None, RULER)
    assert codes(report) == [(None, "some_images")]


def test_leakage_is_found_by_picture_as_well_as_by_words(folder: Path) -> None:
    Image.open(folder / "9.png").save(folder / "nine.bmp")
    held = [
        {**clean()[0], "prompt": "what is  NUMBER zero"},
        {"prompt": "Which shade?", "images": ["nine.bmp"], "answer": "9"},
        {"prompt": "What is number one?", "images": ["2.png", "1.png"], "answer": "9"},
        *({"prompt": f"Is it {word}?", "images": [draw(folder, f"{word}.png", 100 + n)],
           "answer": "no"} for n, word in enumerate(NUMBERS[:7])),
    ]  # fmt: skip
    train, held_out = write(folder, clean()), write(folder, held, "held.jsonl")
    report = lint_prompts(held_out, train, RULER)
    assert codes(report) == [(None, "overlap"), (None, "leaked_picture"), (1, "leaked")]
    message = report.findings[1].message
    assert message == "4 pictures of the other set are here too, on 3 lines."
    assert report.num_leaked == 1
    assert report.pictures is not None
    assert report.pictures.num_leaked == 4


def test_equal_words_about_other_pictures_are_no_leak(folder: Path) -> None:
    draw(folder, "other.png", 200)
    held = [{**line, "images": ["other.png"]} for line in clean()]
    report = lint_prompts(write(folder, held, "held.jsonl"), write(folder, clean()), RULER)
    assert report.num_leaked == 0
    assert codes(report) == [(None, "many_uses")]


def test_conversations_and_labelled_pictures_are_looked_at_alike(folder: Path) -> None:
    pairs = [{**line, "completion": "It is red."} for line in clean()]
    labelled = [{"image": f"{n}.png", "label": "red"} for n in range(10)]
    for name, lines, lint in (
        ("pairs.jsonl", pairs, lint_conversations),
        ("labelled.jsonl", labelled, lint_inputs),
    ):
        good = write(folder, lines, name)
        again = write(
            folder, [lines[2], {**lines[3], "images": ["gone.png"], "image": None}], "x.jsonl"
        )
        report = lint(good, None, RULER)
        assert (report.verdict, report.pictures and report.pictures.num_different) == ("ok", 10)
        report = lint(again, good, RULER)
        told = codes(report)
        assert (1, "leaked") in told
        assert (2, "picture") in told
        assert (None, "leaked_picture") in told


def test_every_picture_is_decoded_once_for_both_sets_and_progress_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded, told = [], []
    real = picture_linter.seen_picture
    monkeypatch.setattr(
        picture_linter, "seen_picture", lambda source: decoded.append(source) or real(source)
    )
    train = write(folder, clean())
    held = write(folder, clean(5), "held.jsonl")
    lint_file(train, None, RULER, told.append)
    lint_file(held, train, RULER)
    assert len(decoded) == 10
    assert told == list(range(1, 11))
    draw(folder, "5.png", 77, (321, 320))
    lint_file(held, train, RULER)
    assert len(decoded) == 11


def test_of_very_many_pictures_the_last_are_told_by_their_headers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_linter, "MAX_DECODED", 4)
    monkeypatch.setattr(picture_linter, "KNOWN", picture_linter.KnownPictures())
    decoded = []
    real = picture_linter.seen_picture
    monkeypatch.setattr(
        picture_linter, "seen_picture", lambda source: decoded.append(source) or real(source)
    )
    report = lint_prompts(write(folder, clean()), None, RULER)
    assert len(decoded) == 4
    assert codes(report) == [(None, "not_decoded")]
    assert report.pictures is not None
    assert report.pictures.total_tokens == 1000


def test_a_folders_sight_counts_its_tokens_and_a_text_model_has_none(tmp_path: Path) -> None:
    def sight_of(**config: object) -> object:
        (tmp_path / "config.json").write_text(json.dumps(config))
        return sight_of_folder(tmp_path)

    tower = {"patch_size": 14, "spatial_merge_size": 2}
    wanted = replace(DEFAULT_SIGHT, patch=14, merge=2)
    assert sight_of(model_type="qwen2_5_vl", vision_config=tower) == wanted
    assert sight_of(model_type="qwen3") is None
    assert sight_of(model_type="llava", vision_config=tower) is None
    assert sight_of(model_type="qwen2_5_vl", vision_config=tower) == wanted
    limits = {"size": {"shortest_edge": 3136, "longest_edge": 401_408}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(limits))
    own = replace(wanted, min_pixels=3136, max_pixels=401_408)
    assert sight_of(model_type="qwen2_5_vl", vision_config=tower) == own
    assert sight_of_folder(tmp_path, (784, 1568)) == replace(own, min_pixels=784, max_pixels=1568)
    with pytest.raises(ModelError, match="no patch_size"):
        sight_of(model_type="qwen3_vl", vision_config={})
