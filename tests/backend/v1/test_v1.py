"""The /v1 routes with the real process and tiny models: an existing client gets what it expects."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import openai
import pytest
import yaml

from backend.app import create_api, guard
from backend.backend import Backend
from backend.models.library import FOLDERS_FILE
from backend.playground import playground
from backend.settings import BackendSettings
from backend.supervisor.slot import ActiveRun, Slot
from backend.workbench import Workbench
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.checkpoints import point
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from tests.backend.conftest import ORIGIN, TOKEN, eventually, served
from tests.backend.tiny import write_endless_model, write_tiny_adapter, write_tiny_model

pytestmark = pytest.mark.timeout(180)
HELLO = [{"role": "user", "content": "the third of March"}]
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    student = write_tiny_model(root / "student", seed=0)
    write_tiny_adapter(root / "adapter", student)
    write_endless_model(root / "endless")
    return root


def student_of(settings: BackendSettings, models: Path, name: str) -> RunDirectory:
    """A run with checkpoints of steps 5 and 10, of which 5 wears nothing that was learned."""
    chosen = {"student_model": str(models / "student"), "teacher_model": str(models / "student")}
    config = parse_config({"distillation": {"run_name": name, **chosen}})
    run = create_run(settings.workspace, config)
    for step in (5, 10):
        checkpoint = run.checkpoints / f"{step:06d}"
        shutil.copytree(models / "adapter", checkpoint)
        (checkpoint / "state.json").write_text("{}")
    point(run, "best", run.checkpoints / "000005")
    point(run, "last", run.checkpoints / "000010")
    return run


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, int]]:
    settings = BackendSettings(
        workspace=tmp_path_factory.mktemp("served") / "workspace",
        port=0,
        token=TOKEN,
        min_free_disk_gb=0.0,
        min_free_memory_gb=0.0,
    )
    student_of(settings, models, "dates")
    bare = {"student_model": str(models / "student"), "teacher_model": str(models / "student")}
    create_run(settings.workspace, parse_config({"distillation": {"run_name": "bare", **bare}}))
    moved = student_of(settings, models, "moved")
    config = yaml.safe_load(moved.config_file.read_text())
    config["distillation"]["student_model"] = str(models / "moved away")
    moved.config_file.write_text(yaml.safe_dump(config))
    # Older than the others: `latest` is no run that cannot answer, however the ids are drawn.
    moved.path.rename(moved.path.with_name("distill_20200101_000000_0000"))
    known = {"folders": [str(models / "endless")]}
    (settings.workspace / FOLDERS_FILE).write_text(json.dumps(known))
    with served(settings) as (backend, port):
        yield backend, port
        backend.index.engine.dispose()


@pytest.fixture
def client(server: tuple[Backend, int]) -> Iterator[openai.OpenAI]:
    """What anybody would write who has such a client already; its token may only read."""
    backend, port = server
    address = f"http://127.0.0.1:{port}/v1"
    token = backend.tokens.shown().read
    with openai.OpenAI(base_url=address, api_key=token, max_retries=0) as client:
        yield client


def test_the_client_lists_a_run_by_its_name_and_the_models(client: openai.OpenAI) -> None:
    listed = {model.id: model.owned_by for model in client.models.list()}
    assert listed["dates"].startswith("distill_")
    assert "tiny-student" in listed
    assert client.models.retrieve("dates@10").owned_by == listed["dates"]


def test_the_client_gets_the_same_answer_whole_and_piece_by_piece(client: openai.OpenAI) -> None:
    asked = {"messages": HELLO, "seed": 4, "max_tokens": 12, "temperature": 0.8, "top_p": 0.9}
    whole = client.chat.completions.create(model="dates", **asked)  # type: ignore[call-overload]
    assert whole.choices[0].message.role == "assistant"
    said = whole.choices[0].message.content
    assert whole.choices[0].finish_reason in ("stop", "length")
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert 0 < whole.usage.completion_tokens <= 12
    for name in ("latest", "dates@5", "dates@last", whole.model):
        pieces = list(
            client.chat.completions.create(  # type: ignore[call-overload]
                model=name, stream=True, stream_options={"include_usage": True}, **asked
            )
        )
        assert pieces[0].choices[0].delta.role == "assistant"
        text = "".join(piece.choices[0].delta.content or "" for piece in pieces[:-1])
        assert text == said, name
        assert pieces[-2].choices[0].finish_reason == whole.choices[0].finish_reason
        assert pieces[-1].choices == []
        assert pieces[-1].usage == whole.usage
    other = client.chat.completions.create(model="dates", **asked | {"seed": 5})  # type: ignore[call-overload]
    assert other.choices[0].message.content != said


def test_a_folder_that_the_user_did_not_name_is_neither_loaded_nor_told_of(
    client: openai.OpenAI, models: Path
) -> None:
    assert client.models.retrieve(str(models / "endless")).id == str(models / "endless")
    for folder in (models / "student", models, models / "absent"):
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve(str(folder))
        with pytest.raises(openai.NotFoundError):
            client.completions.create(model=str(folder), prompt="the third", max_tokens=1)


def test_a_name_with_slashes_may_be_encoded_and_leads_nowhere_else(
    server: tuple[Backend, int], models: Path
) -> None:
    backend, port = server
    bearer = {"authorization": f"Bearer {backend.tokens.shown().read}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer) as web:
        name = quote(str(models / "endless"), safe="")
        assert web.get(f"/v1/models/{name}").json()["id"] == str(models / "endless")
        for path in (
            f"/v1/models/{name}%2F..%2Fstudent",
            "/v1/models/..%2F..%2Fapi%2Ftokens",
            "/v1/models/%2e%2e%2Fmodels",
            "/v1/models/a%00b",
            "/api/runs/..%2Ftokens",
            "/v1/models%2Fdates",
        ):
            assert web.get(path).status_code == 400, path


def test_a_text_is_continued_and_ends_in_front_of_a_stop(
    client: openai.OpenAI, models: Path
) -> None:
    asked = {"prompt": "the third", "model": str(models / "endless"), "temperature": 0}
    long = client.completions.create(**asked, max_tokens=12)  # type: ignore[call-overload]
    text = long.choices[0].text
    assert (long.choices[0].finish_reason, long.usage.completion_tokens) == ("length", 12)
    # No chat template: the prompt is its words alone.
    chat = client.chat.completions.create(
        model=str(models / "endless"), max_tokens=1,
        messages=[{"role": "user", "content": "the third"}],
    )  # fmt: skip
    assert chat.usage is not None
    assert long.usage.prompt_tokens < chat.usage.prompt_tokens
    stop = text[3:5]
    short = client.completions.create(**asked, max_tokens=12, stop=["nowhere", stop])  # type: ignore[call-overload]
    assert short.choices[0].text == text[: text.index(stop)]
    assert short.choices[0].finish_reason == "stop"
    stream = client.completions.create(**asked, max_tokens=12, stream=True)  # type: ignore[call-overload]
    assert "".join(piece.choices[0].text for piece in stream) == text


def test_the_wire_is_events_that_end_with_done(server: tuple[Backend, int]) -> None:
    _, port = server
    answer = httpx.post(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json={"model": "dates", "messages": HELLO, "stream": True, "max_tokens": 2, "seed": 1},
        headers={"authorization": f"Bearer {TOKEN}"},
        timeout=60,
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = answer.text.strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    first, *_, last = (json.loads(event.removeprefix("data: ")) for event in events[:-1])
    assert (first["object"], first["id"]) == ("chat.completion.chunk", last["id"])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert last["choices"][0]["delta"] == {}


@pytest.mark.parametrize(
    ("changes", "kind", "param"),
    [
        ({"model": "nobody/nothing"}, openai.NotFoundError, None),
        ({"model": "dates@11"}, openai.NotFoundError, None),
        ({"model": "n" * 3_000}, openai.NotFoundError, None),
        ({"model": "bare"}, openai.NotFoundError, None),
        ({"model": "moved"}, openai.NotFoundError, None),
        ({"model": ""}, openai.BadRequestError, "model"),
        ({"n": 2}, openai.BadRequestError, "n"),
        ({"temperature": 3}, openai.BadRequestError, "temperature"),
        ({"tools": [{"type": "function"}]}, openai.BadRequestError, "tools"),
        ({"logprobs": True}, openai.BadRequestError, "logprobs"),
        ({"messages": [{"role": "user", "content": [PICTURE]}]}, openai.BadRequestError,
         "messages.0.content.tuple[tagged-union[TextPart,PicturePart],...].0.image_url.image_url."
         "url"),
        ({"messages": []}, openai.BadRequestError, "messages"),
        ({"messages": [{"role": "user", "content": "<image>"}]}, openai.BadRequestError,
         "messages"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_an_error_in_the_clients_own_form(
    client: openai.OpenAI, changes: dict[str, object], kind: type[openai.APIStatusError],
    param: str | None,
) -> None:  # fmt: skip
    asked = {"model": "dates", "messages": HELLO, "max_tokens": 1} | changes
    with pytest.raises(kind) as refusal:
        client.chat.completions.create(**asked)  # type: ignore[call-overload]
    assert isinstance(refusal.value.body, dict)
    assert set(refusal.value.body) == {"message", "type", "param", "code"}
    found = refusal.value.body["param"]
    if kind is openai.NotFoundError:
        assert (found, refusal.value.body["code"]) == (None, "model_not_found")
    else:
        assert param is not None
        assert str(found).split(".", maxsplit=1)[0] == param.split(".")[0], found
    assert refusal.value.body["type"] == "invalid_request_error"


def test_a_checkpoint_that_is_not_there_is_no_model_and_the_others_are_named(
    client: openai.OpenAI,
) -> None:
    assert client.models.retrieve("dates@10").id == "dates@10"
    with pytest.raises(openai.NotFoundError, match=r"step 11; it has: 5, 10"):
        client.models.retrieve("dates@11")
    with pytest.raises(openai.NotFoundError, match="no checkpoint yet"):
        client.models.retrieve("bare")


def test_a_wrong_token_and_a_path_that_is_not_there_have_that_form_too(
    server: tuple[Backend, int],
) -> None:
    _, port = server
    address = f"http://127.0.0.1:{port}/v1"
    stranger = openai.OpenAI(base_url=address, api_key="wrong", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError) as refusal:
        stranger.models.list()
    assert isinstance(refusal.value.body, dict)
    assert refusal.value.body["code"] == "no_token"
    bearer = {"authorization": f"Bearer {TOKEN}"}
    gone = httpx.get(f"{address}/nothing", headers=bearer)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")
    # The other half of the API keeps its own.
    assert "error" not in httpx.get(f"http://127.0.0.1:{port}/api/nothing", headers=bearer).json()


def test_a_client_that_goes_away_stops_the_work(server: tuple[Backend, int], models: Path) -> None:
    _, port = server
    bearer = {"authorization": f"Bearer {TOKEN}"}
    long = {"model": str(models / "endless"), "messages": HELLO, "max_tokens": 16_000}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=bearer, timeout=60) as web:
        for stream in (True, False):
            if stream:
                with web.stream("POST", "/v1/chat/completions", json=long | {"stream": True}) as s:
                    next(s.iter_bytes())
            else:
                with pytest.raises(httpx.ReadTimeout):
                    web.post("/v1/chat/completions", json=long, timeout=1)
            # It would be at work for minutes: that this is answered says that it is not.
            short = web.post("/v1/chat/completions", json=long | {"max_tokens": 2})
            assert short.status_code == 200, short.text


@pytest.fixture
async def workbench(backend: Backend) -> Workbench:
    return Workbench(backend)


async def test_a_run_that_trains_comes_first_and_is_named(
    backend: Backend, settings: BackendSettings, models: Path
) -> None:
    student_of(settings, models, "dates")
    backend.watcher.start()
    backend.supervisor.slot = Slot(active=ActiveRun(run_id="distill_x", verb="train"))
    transport = httpx.ASGITransport(app=guard(create_api(backend), backend))
    bearer = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=bearer) as web:
        busy = await web.post("/v1/chat/completions", json={"model": "dates", "messages": HELLO})
    assert (busy.status_code, busy.json()["error"]["code"]) == (409, "gpu_busy")
    assert "distill_x" in busy.json()["error"]["message"]


async def test_requests_wait_in_line_and_the_line_has_an_end(
    backend: Backend, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(playground, "MAX_WAITING", 2)
    api = create_api(backend)
    bench: Workbench = api.state.workbench
    bench.library.add_folder(models / "endless")
    transport = httpx.ASGITransport(app=guard(api, backend))
    bearer = {"authorization": f"Bearer {TOKEN}"}
    asked = {"model": str(models / "endless"), "messages": HELLO, "max_tokens": 40}
    async with (
        bench.running(),
        httpx.AsyncClient(
            transport=transport, base_url=ORIGIN, headers=bearer, timeout=60
        ) as web,
    ):  # fmt: skip
        first = asyncio.create_task(
            web.post("/v1/chat/completions", json=asked | {"max_tokens": 200})
        )

        async def is_busy() -> bool:
            return (await bench.playground.view()).state == "busy"

        await eventually(is_busy)
        others = [
            asyncio.create_task(web.post("/v1/chat/completions", json=asked)) for _ in range(3)
        ]
        answers = await asyncio.gather(first, *others)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429]
    assert answers[0].json()["usage"]["completion_tokens"] == 200
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["type"] == "rate_limit_error"
