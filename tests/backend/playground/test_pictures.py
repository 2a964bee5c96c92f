"""The playground's pictures over HTTP: from a set or sent along, and no other file."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from backend.app import create_api, guard
from backend.backend import Backend
from backend.playground.casting import make_ask
from backend.playground.views import Question
from backend.workbench import Workbench
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.evaluation.playground_messages import LinePicture
from OnPolicyDistill.runs.checkpoints import point
from OnPolicyDistill.runs.directory import create_run
from tests.backend.conftest import ORIGIN, TOKEN
from tests.backend.tiny import write_jsonl, write_tiny_model
from tests.seeing_models import write_seeing_model

pytestmark = pytest.mark.timeout(120)


def uri(colour: tuple[int, int, int]) -> str:
    stream = BytesIO()
    Image.new("RGB", (64, 32), colour).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


RED = {"kind": "data", "data": uri((220, 20, 20))}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    write_seeing_model(root / "seeing", "qwen3_vl")
    write_tiny_model(root / "words")
    Image.new("RGB", (64, 32), (220, 20, 20)).save(root / "red.png")
    write_jsonl(root / "set.jsonl", [{"prompt": "Which?", "images": ["red.png"]}])
    return root


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    api = create_api(backend)
    workbench: Workbench = api.state.workbench
    transport = httpx.ASGITransport(app=guard(api, backend), raise_app_exceptions=False)
    async with (
        workbench.running(),
        httpx.AsyncClient(
            transport=transport, base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}
        ) as client,
    ):
        yield client


def question(models: Path, *pictures: object, model: str = "seeing") -> dict[str, object]:
    return {
        "messages": [{"role": "user", "content": "Which?", "pictures": pictures}],
        "student_model": str(models / model),
        "sampling": {"max_tokens": 5, "temperature": 1.0, "seed": 1},
    }


async def post(client: httpx.AsyncClient, body: dict[str, object]) -> httpx.Response:
    return await client.post("/api/playground/ask", json=body)


async def ask(client: httpx.AsyncClient, body: dict[str, object]) -> list[dict[str, Any]]:
    answer = await post(client, body)
    assert answer.status_code == 200, answer.text
    lines = (line for line in answer.text.splitlines() if line.startswith("data: "))
    return [json.loads(line.removeprefix("data: ")) for line in lines]


async def test_a_sent_picture_and_one_of_a_set_are_looked_at_alike_and_bad_ones_told(
    client: httpx.AsyncClient, models: Path
) -> None:
    found = await client.post("/api/prompt-sets", json={"path": str(models / "set.jsonl")})
    of_set = {"kind": "set", "set_id": found.json()["id"], "line": 1, "number": 1}
    answers = [await ask(client, question(models, picture)) for picture in (RED, of_set)]
    texts = [m["text"] for heard in answers for m in heard if m["kind"] == "finished"]
    assert texts[0] == texts[1]
    started = next(m for m in answers[0] if m["kind"] == "started")
    (shown,) = started["pictures"]
    assert shown["num_tokens"] == 2  # as it is: the folder has 1,024 pixels at least
    assert shown["first"] + shown["num_tokens"] < started["num_prompt_tokens"]
    # More than other requests may hold: a body is bounded, but not at a megabyte.
    large = base64.b64encode(b"no picture" * 200_000).decode()
    bad = {"kind": "data", "data": f"data:image/png;base64,{large}"}
    last = (await ask(client, question(models, RED, bad)))[-1]
    assert last["kind"] == "failed"
    assert last["message"].startswith("picture 2: ")
    missing = (await ask(client, question(models, of_set | {"line": 2})))[-1]
    assert "Line 2 has no picture 1" in missing["message"]
    blind = (await ask(client, question(models, RED, model="words")))[-1]
    assert "reads words alone" in blind["message"]
    assert "qwen3-vl-4b-thinking" in blind["action"]


@pytest.mark.parametrize(
    "picture",
    [
        {"kind": "line", "file": "/etc/passwd", "holds": "prompts", "line": 1, "number": 1},
        {"kind": "data", "data": "/etc/passwd"},
        {"kind": "data", "data": "file:///etc/passwd"},
        {"kind": "data", "data": "https://example.com/a.png"},
        {"kind": "data", "data": "data:text/html;base64,PGI+"},
        {"kind": "data", "data": RED["data"], "file": "/etc/passwd"},
        {"kind": "set", "set_id": "../../etc/passwd", "line": 1, "number": 1},
        {"kind": "set", "set_id": "a", "line": 0, "number": 1},
        {"kind": "set", "set_id": "a", "line": 1, "number": 33},
        "/etc/passwd",
    ],
)
async def test_a_path_or_another_type_is_no_picture(
    client: httpx.AsyncClient, models: Path, picture: object
) -> None:
    refused = await post(client, question(models, picture))
    assert refused.status_code == 422, refused.text
    assert "root:" not in refused.text
    assert (await client.get("/api/playground")).json()["state"] == "cold"


async def test_a_set_that_is_not_there_is_said(client: httpx.AsyncClient, models: Path) -> None:
    gone = {"kind": "set", "set_id": "no-such-set", "line": 1, "number": 1}
    assert (await post(client, question(models, gone))).status_code == 404


async def test_too_many_and_too_large_are_refused(client: httpx.AsyncClient, models: Path) -> None:
    many = await post(client, question(models, *[RED] * 9))
    assert many.status_code == 422
    body = question(models)
    body["messages"] = [{"role": "user", "content": "a", "pictures": [RED] * 5}] * 2
    over_messages = await post(client, body)
    assert over_messages.status_code == 422
    assert "8 pictures in all" in over_messages.text
    large = await post(client, question(models, {"kind": "data", "data": "A" * 16_100_000}))
    assert large.status_code == 413
    elsewhere = await client.post("/api/prompt-sets", json={"path": "A" * 1_100_000})
    assert elsewhere.status_code == 413


async def test_a_conversation_has_the_limits_of_the_run_that_its_models_are_of(
    backend: Backend, models: Path
) -> None:
    values = {"student_model": str(models / "seeing"), "teacher_model": str(models / "seeing")}
    limits = {"min_pixels": 784, "max_pixels": 4096}
    run = create_run(
        backend.settings.workspace, parse_config({"prompt_distillation": {**values, **limits}})
    )
    checkpoint = run.checkpoints / "000010"
    checkpoint.mkdir()
    (checkpoint / "state.json").write_text("{}")
    point(run, "last", checkpoint)
    workbench = Workbench(backend)
    record = workbench.prompt_sets.register(models / "set.jsonl", None)
    asked = question(models, {"kind": "set", "set_id": record.id, "line": 1, "number": 1})
    del asked["student_model"]
    made = make_ask(
        backend,
        workbench.hub,
        workbench.prompt_sets,
        Question.model_validate({**asked, "run_id": run.run_id}),
        1,
    )
    assert (made.sight.min_pixels, made.sight.max_pixels) == (784, 4096)
    (picture,) = made.messages[0].pictures
    assert isinstance(picture, LinePicture)
    assert picture.file == str(models / "set.jsonl")


def test_a_question_is_read_without_a_decoder() -> None:
    program = (
        "import json, sys; from backend.playground.views import Question; "
        "import backend.playground.casting; "
        "Question.model_validate_json(sys.argv[1]); sys.exit('PIL.Image' in sys.modules)"
    )
    body = json.dumps({"messages": [{"role": "user", "content": "a", "pictures": [RED]}]})
    subprocess.run([sys.executable, "-c", program, body], check=True)
