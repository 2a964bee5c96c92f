"""Pictures of a set over HTTP: measured, shown small, and never more than the set names."""

from __future__ import annotations

import base64
import json
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image, PngImagePlugin
from pyarrow import Table, parquet

from OnPolicyDistill.models.embedded import write_tokenizer
from tests.backend.prompt_sets.test_prompt_sets import register, upload
from tests.backend.tiny import TEXTS, write_jsonl, write_tiny_model

TEMPLATE = (
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}"
    "{% if part.type == 'image' %}<|image_pad|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}{% endif %}{% endfor %}"
)


def png(wide: int, tall: int, **info: str) -> bytes:
    texts = PngImagePlugin.PngInfo()
    for key, value in info.items():
        texts.add_text(key, value)
    stream = BytesIO()
    Image.new("RGB", (wide, tall), (200, 0, 0)).save(stream, "PNG", pnginfo=texts)
    return stream.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A set of prompts whose pictures are good, missing, and no pictures at all."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "good.png").write_bytes(png(640, 320, secret="where it was taken"))
    (folder / "secret.txt").write_text("a password")
    lines = [
        {"prompt": "Which?", "images": ["good.png", "gone.png"]},
        {"prompt": "And this?", "images": ["secret.txt"]},
        {"prompt": "No picture."},
    ]
    return write_jsonl(folder / "set.jsonl", lines)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text model, and the files of one that sees."""
    root = tmp_path_factory.mktemp("models")
    write_tiny_model(root / "words")
    (root / "sees").mkdir()
    write_tokenizer(root / "sees", [*TEXTS, "<|image_pad|>" * 3], 300)
    tower = {"patch_size": 14, "spatial_merge_size": 2}
    config = {"model_type": "qwen2_5_vl", "vision_config": tower}
    (root / "sees" / "config.json").write_text(json.dumps(config))
    (root / "sees" / "chat_template.jinja").write_text(TEMPLATE)
    return root


async def test_a_preview_has_the_sizes_and_tokens_of_pictures_and_what_is_wrong_with_them(
    client: httpx.AsyncClient, pictures: Path
) -> None:
    set_id = await register(client, pictures)
    page = (await client.get(f"/api/prompt-sets/{set_id}/preview")).json()
    first, second, third = page["items"]
    good, gone = first["pictures"]
    assert (good["number"], good["width"], good["height"]) == (1, 640, 320)
    assert (good["num_tokens"], good["problem"]) == (20 * 10, None)
    assert "There is no such picture" in gone["problem"]
    assert (gone["width"], gone["num_tokens"]) == (None, None)
    assert "It is no picture" in second["pictures"][0]["problem"]
    assert (first["text"], third["pictures"]) == ("Which?", [])


async def test_a_model_that_sees_counts_a_pictures_tokens_and_a_text_model_refuses_the_line(
    client: httpx.AsyncClient, pictures: Path, models: Path
) -> None:
    set_id = await register(client, pictures)
    url = f"/api/prompt-sets/{set_id}/preview"
    seen = (await client.get(url, params={"model": str(models / "sees")})).json()["items"][0]
    assert seen["pictures"][0]["num_tokens"] == (644 // 28) * (308 // 28)
    assert seen["problem"] is None
    placeholders = seen["rendered"].count("<|image_pad|>")
    assert placeholders == 2
    # A picture that cannot be read is counted as its placeholder.
    assert seen["num_tokens"] == len(seen["tokens"]) - 1 + seen["pictures"][0]["num_tokens"]
    read = (await client.get(url, params={"model": str(models / "words")})).json()["items"]
    assert read[0]["problem"]["code"] == "unread_picture"
    assert (read[0]["rendered"], read[2]["problem"]) == (None, None)
    lint = f"/api/prompt-sets/{set_id}/lint"
    report = (await client.get(lint, params={"model": str(models / "words")})).json()
    assert report["counts"]["unread_picture"] == 2


async def test_a_lint_report_follows_the_pictures_and_not_the_sets_file_alone(
    client: httpx.AsyncClient, pictures: Path
) -> None:
    set_id = await register(client, pictures)
    url = f"/api/prompt-sets/{set_id}/lint"
    first = (await client.get(url)).json()
    assert (first["pictures"]["num_broken"], first["counts"]["picture"]) == (2, 2)
    (pictures.parent / "gone.png").write_bytes(png(320, 320))
    second = (await client.get(url)).json()
    assert (second["pictures"]["num_broken"], second["pictures"]["num_pictures"]) == (1, 3)


async def test_a_thumbnail_is_a_small_png_drawn_anew(
    client: httpx.AsyncClient, pictures: Path
) -> None:
    set_id = await register(client, pictures)
    answer = await client.get(f"/api/prompt-sets/{set_id}/pictures/1/1.png")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    image = Image.open(BytesIO(answer.content))
    assert (image.size, image.info) == ((256, 128), {})
    assert b"taken" not in answer.content


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ("1/2", 422),
        ("2/1", 422),
        ("1/3", 404),
        ("3/1", 404),
        ("4/1", 404),
        ("0/1", 422),
        ("1/0", 422),
        ("1/99", 422),
        ("1/../../secret.txt", 404),
        ("1/good", 422),
    ],
)
async def test_nothing_else_is_sent(
    client: httpx.AsyncClient, pictures: Path, place: str, status: int
) -> None:
    set_id = await register(client, pictures)
    answer = await client.get(f"/api/prompt-sets/{set_id}/pictures/{place}.png")
    assert answer.status_code == status
    assert b"password" not in answer.content
    assert "image" not in answer.headers["content-type"]


async def test_labelled_pictures_and_conversations_have_thumbnails_too(
    client: httpx.AsyncClient, pictures: Path
) -> None:
    folder = pictures.parent
    uri = "data:image/png;base64," + base64.b64encode(png(32, 64)).decode()
    turns = [{"from": "human", "value": "<image>\nWhich?"}, {"from": "gpt", "value": "Red."}]
    sets = {
        "inputs": {"image": uri, "label": "red"},
        "conversations": {"conversations": turns, "image": "good.png"},
    }
    for kind, line in sets.items():
        file = write_jsonl(folder / f"{kind}.jsonl", [line])
        set_id = await register(client, file)
        assert (await client.get(f"/api/prompt-sets/{set_id}")).json()["kind"] == kind
        answer = await client.get(f"/api/prompt-sets/{set_id}/pictures/1/1.png")
        assert answer.status_code == 200


async def test_an_uploaded_parquet_file_keeps_its_pictures(client: httpx.AsyncClient) -> None:
    rows = [
        {"images": [{"bytes": png(64, 32), "path": None}], "problem": "<image>?", "answer": "3"}
    ]
    stream = BytesIO()
    parquet.write_table(Table.from_pylist(rows), stream)
    made = (await upload(client, stream.getvalue(), "train.parquet")).json()
    assert made["path"].endswith(".parquet")
    assert (made["kind"], made["is_labelled"]) == ("prompts", True)
    answer = await client.get(f"/api/prompt-sets/{made['id']}/pictures/1/1.png")
    assert Image.open(BytesIO(answer.content)).size == (64, 32)
