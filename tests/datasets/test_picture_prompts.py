"""Every layout of data with pictures becomes the same messages, with the pictures in order."""

from __future__ import annotations

import base64
import json
import sys
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from pyarrow import Table, parquet

from OnPolicyDistill.datasets.conversations import load_conversations, read_conversations
from OnPolicyDistill.datasets.conversion import Wanted, convert
from OnPolicyDistill.datasets.kinds import kind_of
from OnPolicyDistill.datasets.labelled import load_items, read_items, without_duplicates
from OnPolicyDistill.datasets.picture_prompts import MAX_PICTURES
from OnPolicyDistill.datasets.pictures import picture_size
from OnPolicyDistill.datasets.prompts import Prompt, load_prompts, read_prompts
from OnPolicyDistill.datasets.text_lines import MAX_LINE_BYTES
from OnPolicyDistill.errors import DatasetError

PLACE = {"type": "image"}


def png(wide: int, tall: int = 20) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (wide, tall), (wide % 256, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def uri(wide: int) -> str:
    return "data:image/png;base64," + base64.b64encode(png(wide)).decode()


def words(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for wide in (40, 50):
        (tmp_path / f"{wide}.png").write_bytes(png(wide))
    return tmp_path


def write(folder: Path, *lines: object, name: str = "set.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def user(content: object) -> list[object]:
    return [{"role": "user", "content": content}]


LAYOUTS = {
    "images, no marker": {"prompt": "Which?", "images": ["40.png"]},
    "a string for images": {"prompt": "Which?", "images": "40.png"},
    "image": {"prompt": "Which?", "image": "40.png"},
    "an object": {"prompt": "Which?", "images": [{"path": "40.png", "bytes": None}]},
    "GEO3K's words": {"problem": "<image>Which?", "images": ["40.png"]},
    "question": {"question": "<image>\nWhich?", "images": ["40.png"]},
    "data of its own": {"prompt": "Which?", "images": [uri(40)]},
    "OpenAI": {
        "messages": user([{"type": "image_url", "image_url": {"url": "40.png"}}, words("Which?")])
    },
    "OpenAI with data": {
        "messages": user([{"type": "image_url", "image_url": {"url": uri(40)}}, words("Which?")])
    },
    "OpenAI's newer parts": {
        "messages": user(
            [
                {"type": "input_image", "image_url": "40.png"},
                {"type": "input_text", "text": "Which?"},
            ]
        )
    },
    "Qwen": {"messages": user([{"type": "image", "image": "40.png"}, words("Which?")])},
    "Qwen without types": {"messages": user([{"image": "40.png"}, {"text": "Which?"}])},
    "bare parts": {"messages": user([PLACE, words("Which?")]), "images": ["40.png"]},
    "messages with a marker": {"messages": user("<image>\nWhich?"), "images": ["40.png"]},
    "LLaVA": {
        "conversations": [{"from": "human", "value": "<image>\nWhich?"}],
        "image": "40.png",
    },
}


@pytest.mark.parametrize("line", LAYOUTS.values(), ids=list(LAYOUTS))
def test_every_layout_becomes_a_place_and_the_words_behind_it(line, folder):
    (prompt,) = load_prompts(write(folder, line), sees=True).prompts
    assert prompt.messages == ({"role": "user", "content": [PLACE, words("Which?")]},)
    assert [picture_size(source) for source in prompt.pictures] == [(20, 40)]
    assert prompt.text == "Which?"
    assert prompt.extras == {}


@pytest.mark.parametrize("line", LAYOUTS.values(), ids=list(LAYOUTS))
def test_no_layout_is_read_as_text_in_silence(line, folder):
    with pytest.raises(DatasetError, match=r"set\.jsonl, line 2: The line has a picture"):
        load_prompts(write(folder, {"prompt": "Hello"}, line))


def test_a_file_address_and_an_absolute_path_are_files(folder):
    address = (folder / "40.png").as_uri()
    path = str(folder / "50.png")
    line = {"prompt": "Compare.", "images": [address, path]}
    (prompt,) = load_prompts(write(folder, line), sees=True).prompts
    assert [picture_size(source)[1] for source in prompt.pictures] == [40, 50]


def test_markers_in_the_midst_of_words_keep_their_places(folder):
    line = {"prompt": "Is <image> wider than\n<image>?", "images": ["40.png", "50.png"]}
    (prompt,) = load_prompts(write(folder, line), sees=True).prompts
    parts = [words("Is "), PLACE, words(" wider than"), PLACE, words("?")]
    assert prompt.messages[0]["content"] == parts
    assert [picture_size(source)[1] for source in prompt.pictures] == [40, 50]


def test_pictures_of_several_messages_keep_their_order_and_the_rest_stays(folder):
    first = [words("This is A."), {"type": "image", "image": "50.png"}]
    line = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": first, "name": "Ann"},
            {"role": "assistant", "content": "I see."},
            {"role": "user", "content": [{"type": "image", "image": "40.png"}, words("And B?")]},
        ],
        "answer": "no",
        "grader": "boxed",
    }
    (prompt,) = load_prompts(write(folder, line), sees=True).prompts
    assert [message["role"] for message in prompt.messages] == [
        "system", "user", "assistant", "user",
    ]  # fmt: skip
    assert prompt.messages[1] == {
        "role": "user",
        "content": [words("This is A."), PLACE],
        "name": "Ann",
    }
    assert [picture_size(source)[1] for source in prompt.pictures] == [50, 40]
    assert (prompt.answer, prompt.grader) == ("no", "boxed")


def test_without_markers_pictures_come_first_in_the_users_first_message(folder):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Which?"},
        {"role": "assistant", "content": "A."},
        {"role": "user", "content": "Sure?"},
    ]
    line = {"messages": messages, "images": ["40.png", "50.png"]}
    (prompt,) = load_prompts(write(folder, line), sees=True).prompts
    assert prompt.messages[1]["content"] == [PLACE, PLACE, words("Which?")]
    assert prompt.messages[3] == messages[3]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ({"prompt": "<image><image>?", "images": ["40.png"]}, "picture_count"),
        ({"prompt": "<image>?", "images": ["40.png", "50.png"]}, "picture_count"),
        ({"prompt": "<image>\nWhich?"}, "missing_picture"),
        ({"prompt": "Which?\n<image>"}, "missing_picture"),
        ({"prompt": "<image>\nWhich?", "images": []}, "missing_picture"),
        ({"messages": user([PLACE, words("a")])}, "picture_count"),
        ({"messages": user([{"image": "a.png"}]), "images": ["b.png"]}, "picture_count"),
        ({"prompt": "a", "images": ["https://example.org/a.png"]}, "remote_picture"),
        ({"prompt": "a", "images": ["s3://bucket/a.png"]}, "remote_picture"),
        (
            {"messages": user([{"type": "image_url", "image_url": {"url": "http://x/a.png"}}])},
            "remote_picture",
        ),
        (
            {
                "messages": user(
                    [{"type": "image_url", "image_url": {"url": "http://x/a.png"}}, words("a")]
                )
            },
            "remote_picture",
        ),
        ({"prompt": "a", "images": [5]}, "wrong_type"),
        ({"prompt": "a", "images": [""]}, "wrong_type"),
        ({"prompt": "a", "images": [{"height": 5}]}, "wrong_type"),
        ({"prompt": "a", "images": ["a\0.png"]}, "wrong_type"),
        ({"prompt": "a", "images": ["iVBOR" * 1000]}, "wrong_type"),
        ({"prompt": "a", "images": ["data:image/png,xyz"]}, "broken_picture"),
        ({"prompt": "a", "images": ["data:image/png;base64,%%%"]}, "broken_picture"),
        ({"prompt": "a", "images": ["40.png"] * (MAX_PICTURES + 1)}, "many_pictures"),
        ({"messages": user([{"type": "video", "video": "a.mp4"}, words("a")])}, "unknown_part"),
        ({"messages": user([{"type": "audio"}, words("a")])}, "unknown_part"),
        (
            {"messages": [{"role": "system", "content": "a"}], "images": ["a.png"]},
            "misplaced_picture",
        ),
    ],
)
def test_a_line_whose_pictures_cannot_be_used_is_named(line, code, folder):
    good = {"prompt": "good"}
    first, bad, last = read_prompts(write(folder, good, line, good))
    assert (bad.code, bad.line) == (code, 2)
    assert bad.message.endswith(".")
    assert bad.fix.endswith(".")
    assert (first.index, last.index) == (0, 1)


@pytest.mark.parametrize("name", ["file://[a", "file://", "file://localhost/a%00b.png", "x" * 300])
def test_odd_names_are_pictures_that_are_not_there(name, folder):
    for found in read_prompts(write(folder, {"prompt": "a", "images": [name]})):
        if isinstance(found, Prompt):
            with pytest.raises(DatasetError, match=r"set\.jsonl, line 1"):
                picture_size(found.pictures[0])
        else:
            assert found.code == "wrong_type"


def test_a_name_that_no_file_can_have_is_refused_in_words(folder):
    for name in ("a" * 5000, "a\0b"):
        with pytest.raises(DatasetError, match=r"cannot be read|no such file"):
            load_prompts(folder / name)


def test_very_many_empty_lines_around_a_marker_are_searched_once(folder):
    text = "a <image> b" + "\n" * 400_000 + "c"
    (prompt,) = load_prompts(write(folder, {"prompt": text})).prompts
    assert prompt.pictures == ()


def test_words_about_an_image_tag_are_words(folder):
    text = "What does the <image> tag of SVG do?"
    (prompt,) = load_prompts(write(folder, {"prompt": text, "image": None})).prompts
    assert prompt.messages == ({"role": "user", "content": text},)


def test_the_assistants_words_have_no_places(folder):
    messages = [
        {"role": "user", "content": "<image>Which tag?"},
        {"role": "assistant", "content": "<image>"},
    ]
    (found,) = load_conversations(
        write(folder, {"messages": messages, "images": "40.png"}), sees=True
    )
    assert found.messages[1] == messages[1]
    assert found.messages[0]["content"] == [PLACE, words("Which tag?")]


ANSWERED = {
    "messages": {"messages": [*user([{"image": "40.png"}, words("Which?")]),
                              {"role": "assistant", "content": "A."}]},
    "LLaVA": {
        "image": "40.png",
        "conversations": [
            {"from": "human", "value": "<image>\nWhich?"}, {"from": "gpt", "value": "A."},
        ],
    },
    "pair": {"problem": "<image>Which?", "answer": "A.", "images": ["40.png"]},
    "completion": {"prompt": "Which?", "completion": "A.", "images": ["40.png"]},
}  # fmt: skip


@pytest.mark.parametrize("line", ANSWERED.values(), ids=list(ANSWERED))
def test_conversations_have_the_same_layouts(line, folder):
    path = write(folder, line)
    (found,) = load_conversations(path, sees=True)
    assert found.messages == (
        {"role": "user", "content": [PLACE, words("Which?")]},
        {"role": "assistant", "content": "A."},
    )
    assert [picture_size(source) for source in found.pictures] == [(20, 40)]
    with pytest.raises(DatasetError, match=r"set\.jsonl, line 1: The line has a picture"):
        load_conversations(path)


def test_a_conversation_about_a_lost_picture_is_refused(folder):
    turns = [{"from": "human", "value": "<image>\nWhich?"}, {"from": "gpt", "value": "A."}]
    (bad,) = read_conversations(write(folder, {"conversations": turns}))
    assert bad.code == "missing_picture"


def test_llavas_last_answer_is_the_right_one_of_its_prompt(folder):
    turns = [
        {"from": "human", "value": "<image>\nHow wide?"},
        {"from": "gpt", "value": "40."},
        {"from": "human", "value": "How tall?"},
        {"from": "gpt", "value": "20."},
    ]
    path = write(folder, {"id": 7, "image": "40.png", "conversations": turns})
    (prompt,) = load_prompts(path, sees=True).prompts
    assert [message["role"] for message in prompt.messages] == ["user", "assistant", "user"]
    assert (prompt.answer, prompt.extras["id"]) == ("20.", 7)
    assert kind_of(path) == "conversations"


def test_labelled_pictures_need_no_text(folder):
    lines = [
        {"image": "40.png", "label": "red"},
        {"text": "Which colour?", "images": ["50.png"], "label": "red"},
        {"text": "Is <image> red?", "images": ["50.png"], "label": "yes"},
    ]
    path = write(folder, *lines)
    items = load_items(path, sees=True)
    assert [item.text for item in items] == ["", "Which colour?", "Is  red?"]
    assert items[0].content == [PLACE]
    assert items[1].content == [PLACE, words("Which colour?")]
    assert items[2].content == [words("Is "), PLACE, words(" red?")]
    assert [item.gold for item in items] == ["red", "red", "yes"]
    assert kind_of(path) == "inputs"
    with pytest.raises(DatasetError, match=r"set\.jsonl, line 1: The line has a picture"):
        load_items(path)


def test_labelled_items_of_one_text_and_different_pictures_are_no_duplicates(folder):
    lines = [{"text": "Which?", "image": f"{wide}.png", "label": "a"} for wide in (40, 50, 40)]
    items = load_items(write(folder, *lines), sees=True)
    assert [item.index for item in without_duplicates(items)] == [0, 1]


def test_a_csv_may_name_a_picture_and_its_label(folder):
    path = folder / "set.csv"
    path.write_text("text,image,label\nWhich?,40.png,red\n")
    ((line, item),) = read_items(path)
    assert (line, item.gold, picture_size(item.pictures[0])) == (2, "red", (20, 40))


def geo3k(folder: Path, name: str, *widths: int, with_bytes: bool = True) -> Path:
    """A file with the columns of GEO3K as published."""
    rows = [
        {
            "images": [{"bytes": png(wide) if with_bytes else None, "path": f"{wide}.png"}],
            "problem": f"<image>Find x of {wide}.",
            "answer": r"2 \sqrt { 221 }",
        }
        for wide in widths
    ]
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(Table.from_pylist(rows), path)
    return path


def test_geo3k_as_published_is_read_from_its_parquet_file(folder):
    path = geo3k(folder, "train-00000-of-00001.parquet", 31, 32)
    prompts = load_prompts(path, sees=True).prompts
    assert prompts[1].messages[0]["content"] == [PLACE, words("Find x of 32.")]
    assert prompts[1].answer == r"2 \sqrt { 221 }"
    assert [prompt.line for prompt in prompts] == [1, 2]
    assert [picture_size(prompt.pictures[0]) for prompt in prompts] == [(20, 31), (20, 32)]
    assert kind_of(path) == "prompts"
    with pytest.raises(DatasetError, match=r"parquet, line 1: The line has a picture"):
        load_prompts(path)


def test_splits_of_a_folder_are_named_behind_it_and_pieces_are_one_set(folder):
    root = folder / "geometry3k"
    geo3k(root, "data/train-00000-of-00002.parquet", 31, 32)
    geo3k(root, "data/train-00001-of-00002.parquet", 33)
    geo3k(root, "data/validation-00000-of-00001.parquet", 34)
    train = load_prompts(root / "train", sees=True).prompts
    assert [(prompt.line, picture_size(prompt.pictures[0])[1]) for prompt in train] == [
        (1, 31), (2, 32), (3, 33),
    ]  # fmt: skip
    assert len(load_prompts(root / "validation", sees=True)) == 1
    with pytest.raises(DatasetError, match=r"several sets: train, validation\. Name one: .*/train"):
        load_prompts(root)
    with pytest.raises(DatasetError, match="no such file"):
        load_prompts(root / "test")


def test_a_parquet_file_may_name_files_beside_it(folder):
    path = geo3k(folder, "named.parquet", 40, 50, with_bytes=False)
    prompts = load_prompts(path, sees=True).prompts
    assert [picture_size(prompt.pictures[0])[1] for prompt in prompts] == [40, 50]


def test_labelled_pictures_and_conversations_may_lie_in_parquet(folder):
    rows = [{"image": {"bytes": png(40), "path": None}, "text": "a", "label": 3}]
    parquet.write_table(Table.from_pylist(rows), folder / "labelled.parquet")
    (item,) = load_items(folder / "labelled.parquet", sees=True)
    assert (item.gold, picture_size(item.pictures[0])) == ("3", (20, 40))
    (found,) = load_conversations(geo3k(folder, "pairs.parquet", 40), sees=True)
    assert found.messages[1]["content"] == r"2 \sqrt { 221 }"


def test_a_picture_that_is_broken_inside_parquet_is_named_by_file_and_row(folder):
    rows = [{"images": [{"bytes": b"no picture", "path": "a.png"}], "problem": "<image>?"}]
    parquet.write_table(Table.from_pylist(rows), folder / "bad.parquet")
    (prompt,) = load_prompts(folder / "bad.parquet", sees=True).prompts
    with pytest.raises(DatasetError, match=r"bad\.parquet, line 1: a\.png: It is no picture"):
        picture_size(prompt.pictures[0])


def test_what_is_no_parquet_file_and_cells_that_are_no_picture_are_refused(folder):
    (folder / "fake.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    with pytest.raises(DatasetError, match="cannot be read as parquet"):
        load_prompts(folder / "fake.parquet", sees=True)
    parquet.write_table(Table.from_pylist([{"images": [5], "problem": "a"}]), folder / "b.parquet")
    (bad,) = read_prompts(folder / "b.parquet")
    assert (bad.code, bad.line) == ("wrong_type", 1)


def test_without_pyarrow_a_parquet_file_is_refused_in_words(folder, monkeypatch):
    path = geo3k(folder, "train.parquet", 40)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatasetError, match="Install the extra vlm"):
        load_prompts(path, sees=True)


def test_a_folder_of_pictures_with_a_jsonl_is_a_set(folder):
    write(folder, {"prompt": "Which?", "images": ["40.png"]}, name="prompts.jsonl")
    (prompt,) = load_prompts(folder, sees=True).prompts
    assert picture_size(prompt.pictures[0]) == (20, 40)


def test_the_hubs_folder_of_pictures_names_them_by_file_name(folder):
    line = {"file_name": "40.png", "prompt": "Which?"}
    (prompt,) = load_prompts(write(folder, line, name="metadata.jsonl"), sees=True).prompts
    assert prompt.pictures[0].file == folder / "40.png"
    assert prompt.extras == {}
    (plain,) = load_prompts(write(folder, line, name="other.jsonl")).prompts
    assert plain.extras == {"file_name": "40.png"}


def test_a_line_with_a_picture_inside_may_be_long_and_others_may_not(folder):
    noise = base64.b64encode(bytes(MAX_LINE_BYTES)).decode()
    path = write(folder, {"prompt": "a", "images": [f"data:image/png;base64,{noise}"]})
    assert len(next(read_prompts(path)).pictures[0].data) == MAX_LINE_BYTES
    (bad,) = read_prompts(write(folder, {"prompt": noise}))
    assert bad.code == "giant_line"


def test_the_hash_of_a_set_sees_which_pictures_it_has(folder):
    def hash_of(*images: str) -> str:
        return load_prompts(
            write(folder, {"prompt": "a", "images": list(images)}), sees=True
        ).content_hash

    hashes = {hash_of("40.png"), hash_of("50.png"), hash_of(uri(40)), hash_of(uri(50))}
    assert len(hashes) == 4


def test_conversations_with_pictures_are_converted_to_messages_or_refused(folder):
    path = write(folder, ANSWERED["messages"])
    assert convert(path, folder / "same.jsonl", Wanted("messages")).num_lines == 1
    assert json.loads((folder / "same.jsonl").read_text()) == ANSWERED["messages"]
    llava = write(folder, ANSWERED["LLaVA"], name="llava.jsonl")
    with pytest.raises(DatasetError, match="has pictures"):
        convert(llava, folder / "out.jsonl", Wanted("messages"))
