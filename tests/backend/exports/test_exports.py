"""Exports with their real processes and a tiny model, and pushes to a hub on this machine."""

from __future__ import annotations

import io
import os
import signal
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from backend.app import create_api, guard
from backend.backend import Backend
from backend.exports.exports import Exports
from backend.exports.views import ExportView, ExportWish, PushWish
from backend.models.place import Hub
from backend.problems import ConflictError, WrongFieldError
from backend.workbench import Workbench
from OnPolicyDistill.adapters.facts import base_model
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.chosen_folders import ChosenFolders, write_chosen_folders
from OnPolicyDistill.runs.directory import RunDirectory
from tests.backend.conftest import ORIGIN, TOKEN, MakeRun, wait_until
from tests.backend.exports.push_hub import PushHub, taking_pushes
from tests.backend.tiny import write_jsonl, write_tiny_adapter, write_tiny_model

pytestmark = pytest.mark.timeout(120)
REPOSITORY = "someone/student"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def adapter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_adapter(tmp_path_factory.mktemp("adapters") / "a", model)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines: list[object] = [{"prompt": f"the {word} of March"} for word in ("third", "half", "past")]
    return write_jsonl(tmp_path_factory.mktemp("held out") / "held_out.jsonl", lines)


@pytest.fixture
def run(make_run: MakeRun, model: Path, adapter: Path, held_out: Path) -> RunDirectory:
    run = make_run(
        steps=5,
        student_model=str(model),
        teacher_model="tiny-teacher",
        validation_prompts=str(held_out),
    )

    def write(folder: Path) -> None:
        for file in adapter.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())

    state = TrainingState(step=5, config_hash="a", seed=0, data_cursor=0, num_tokens=0)
    point(run, "best", save_checkpoint(run, state, write))
    return run


@pytest.fixture
def exports(backend: Backend) -> Iterator[Exports]:
    made = Exports(backend, Hub())
    yield made
    settle(made)


def settle(exports: Exports) -> None:
    """Exports outlive their backend on purpose, but not a test."""
    for view in exports.list():
        exports.cancel(view.name)
    wait_until(lambda: exports.list() is not None and not exports._workshop._processes)


def wish(run: RunDirectory, form: str = "fused", **more: object) -> ExportWish:
    values = {"run_id": run.run_id, "checkpoint": 5, "form": form, "name": "student", **more}
    return ExportWish.model_validate(values)


def until(exports: Exports, condition: Callable[[ExportView], bool]) -> ExportView:
    wait_until(lambda: condition(exports.get("student")))
    return exports.get("student")


def ended(view: ExportView) -> bool:
    return view.work.state != "running"


def test_a_fused_student_is_written_by_its_own_process_and_can_be_loaded(
    exports: Exports, run: RunDirectory
) -> None:
    started = exports.start(wish(run), blocked="")
    assert started.work.state == "running"
    assert exports.at_work() == "The export student is being written."
    done = until(exports, ended)
    assert (done.work.state, done.work.message) == ("finished", "")
    assert load_policy(done.path).name == done.path
    assert "| Reverse KL |" in (Path(done.path) / "README.md").read_text(encoding="utf-8")
    assert exports.at_work() is None


def test_an_export_goes_into_the_chosen_folder_and_stays_there_when_another_is_chosen(
    exports: Exports, run: RunDirectory, backend: Backend, tmp_path: Path
) -> None:
    chosen = tmp_path / "My exports"
    chosen.mkdir()
    write_chosen_folders(backend.settings.workspace, ChosenFolders(exports=str(chosen)))
    exports.start(wish(run, "adapter"), blocked="Something is at work.")
    write_chosen_folders(backend.settings.workspace, ChosenFolders())
    done = until(exports, ended)
    assert (done.work.state, done.path) == ("finished", str(chosen / "student"))
    assert exports.finished_folder("student") == chosen / "student"
    assert (chosen / "student" / "adapters.safetensors").is_file()
    exports.delete("student")
    assert chosen.is_dir()
    assert list(chosen.iterdir()) == []


def test_an_export_waits_for_the_chosen_folder_and_does_not_make_it(
    exports: Exports, run: RunDirectory, backend: Backend, tmp_path: Path
) -> None:
    away = tmp_path / "a disk that is away"
    write_chosen_folders(backend.settings.workspace, ChosenFolders(exports=str(away)))
    with pytest.raises(InputError, match="is not there"):
        exports.start(wish(run, "adapter"), blocked="Something is at work.")
    assert not away.exists()


def test_what_was_measured_of_the_files_reaches_whoever_asks_for_the_export(
    exports: Exports, run: RunDirectory, held_out: Path
) -> None:
    exports.start(wish(run, "gguf", gguf_type="q8_0"), blocked="")
    done = until(exports, ended)
    assert (done.work.state, done.work.message) == ("finished", "")
    outcome = done.work.outcome
    assert outcome is not None
    assert outcome.measured is not None
    assert outcome.measured.kl.value > 0
    assert outcome.measured.source.endswith(f"prompts of {held_out.name}.")
    assert [step.program for step in outcome.next] == ["LM Studio", "Ollama", "llama.cpp"]
    assert Path(done.path, "model-q8_0.gguf").is_file()


def test_an_adapter_that_is_measured_holds_the_model_meanwhile(
    exports: Exports, run: RunDirectory
) -> None:
    exports.start(wish(run, "adapter"), blocked="")
    assert exports.at_work() == "The export student is being written."
    until(exports, ended)
    assert exports.at_work() is None


def test_pefts_form_is_written_while_the_gpu_is_busy_and_holds_no_model(
    exports: Exports, run: RunDirectory
) -> None:
    exports.start(wish(run, "peft"), blocked="A run is at work.")
    assert exports.at_work() is None
    done = until(exports, ended)
    assert (done.work.state, done.work.message) == ("finished", "")
    assert done.work.outcome is not None
    assert done.work.outcome.measured is None
    assert "A run is at work. Export it again when" in done.work.outcome.not_measured
    names = sorted(file.name for file in Path(done.path).iterdir())
    assert names == ["README.md", "adapter_config.json", "adapter_model.safetensors"]


def test_a_backend_that_comes_later_knows_the_export(
    exports: Exports, run: RunDirectory, backend: Backend
) -> None:
    exports.start(wish(run), blocked="")
    assert Exports(backend, Hub()).get("student").work.state == "running"
    until(exports, ended)
    assert Exports(backend, Hub()).get("student").work.state == "finished"


def test_a_killed_export_is_interrupted_and_leaves_no_folder(
    exports: Exports, run: RunDirectory
) -> None:
    exports.start(wish(run), blocked="")
    record = exports._record("student")
    os.kill(record.worker.pid, signal.SIGKILL)
    interrupted = until(exports, ended)
    assert interrupted.work.state == "interrupted"
    assert "without a word" in interrupted.work.message
    assert not Path(interrupted.path).exists()


def test_a_cancelled_export_says_so_and_its_name_is_free_once_deleted(
    exports: Exports, run: RunDirectory
) -> None:
    exports.start(wish(run), blocked="")
    assert exports.cancel("student").work.state == "cancelled"
    with pytest.raises(ConflictError, match="an export named student"):
        exports.start(wish(run, "adapter"), blocked="")
    for _ in range(2):
        exports.delete("student")
    exports.start(wish(run, "adapter"), blocked="")
    assert until(exports, ended).work.state == "finished"


def test_while_a_run_has_the_gpu_only_the_adapter_is_written(
    exports: Exports, run: RunDirectory
) -> None:
    with pytest.raises(ConflictError, match="Run x has the GPU"):
        exports.start(wish(run), blocked="Run x has the GPU.")
    exports.start(wish(run, "adapter"), blocked="Run x has the GPU.")
    assert until(exports, ended).work.state == "finished"


def test_a_form_that_cannot_be_is_refused_with_the_reason(
    exports: Exports, run: RunDirectory
) -> None:
    config = Path(base_model(run.config()), "config.json")
    as_it_was = config.read_text(encoding="utf-8")
    config.write_text(as_it_was.replace('"qwen2"', '"phi3"'), encoding="utf-8")
    with pytest.raises(WrongFieldError, match="family phi3"):
        exports.start(wish(run, "gguf"), blocked="")
    config.write_text(as_it_was, encoding="utf-8")
    with pytest.raises(WrongFieldError, match="checkpoint of step 7"):
        exports.start(wish(run, checkpoint=7), blocked="")
    assert not exports.list()


def test_an_export_keeps_the_queue_waiting(
    exports: Exports, run: RunDirectory, backend: Backend
) -> None:
    backend.holders.append(exports.at_work)
    exports.start(wish(run), blocked="")
    backend.supervisor.enqueue(run.run_id, "train")
    assert backend.supervisor.tick() == []
    assert backend.supervisor.blocked == "The export student is being written."
    until(exports, ended)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[PushHub]:
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    with taking_pushes() as hub:
        yield hub


@pytest.fixture
def written(backend: Backend, hub: PushHub, run: RunDirectory) -> Iterator[Exports]:
    exports = Exports(backend, Hub(endpoint=hub.endpoint))
    exports.start(wish(run, "adapter"), blocked="")
    until(exports, ended)
    yield exports
    settle(exports)


def test_a_push_sends_exactly_what_its_dry_run_showed(written: Exports, hub: PushHub) -> None:
    plan = written.plan_push("student", REPOSITORY)
    assert [file.name for file in plan.files] == [
        "README.md",
        "adapter_config.json",
        "adapters.safetensors",
    ]
    assert not hub.made
    written.push("student", PushWish(repository=REPOSITORY, digest=plan.digest))
    pushed = until(
        written, lambda view: view.push is not None and view.push.work.state != "running"
    )
    assert pushed.push is not None
    assert (pushed.push.work.state, pushed.push.work.message) == ("finished", "")
    assert hub.made[0]["visibility"] == "private"
    assert sorted(hub.files) == [file.name for file in plan.files]


def test_a_push_without_its_dry_run_or_without_a_token_is_refused(
    written: Exports, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConflictError, match="dry run"):
        written.push("student", PushWish(repository=REPOSITORY, digest="0" * 64))
    plan = written.plan_push("student", REPOSITORY)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ConflictError, match="no hub token"):
        written.push("student", PushWish(repository=REPOSITORY, digest=plan.digest))


def test_a_token_that_may_not_write_is_explained(written: Exports, hub: PushHub) -> None:
    hub.refusal = 403
    plan = written.plan_push("student", REPOSITORY)
    written.push("student", PushWish(repository=REPOSITORY, digest=plan.digest))
    failed = until(
        written, lambda view: view.push is not None and view.push.work.state != "running"
    )
    assert failed.push is not None
    assert "does not let this token write" in failed.push.work.message


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    api = create_api(backend)
    api.state.workbench = Workbench(backend, Hub())
    transport = httpx.ASGITransport(app=guard(api, backend), raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}
    ) as client:
        yield client


async def test_the_options_name_forms_obstacles_sizes_and_the_card(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    options = (await client.get(f"/api/runs/{run.run_id}/export-options")).json()
    forms = {form["form"]: form for form in options["forms"]}
    assert options["checkpoints"] == [5]
    assert forms["gguf"]["obstacle"] is None
    assert forms["peft"]["obstacle"] is None
    assert forms["peft"]["num_bytes"] == forms["adapter"]["num_bytes"]
    assert forms["fused"]["num_bytes"] > forms["adapter"]["num_bytes"] > 0
    assert options["card"].startswith("---\nbase_model: tiny")


async def test_the_adapter_comes_as_a_zip_file_with_its_card(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    answer = await client.get(f"/api/runs/{run.run_id}/adapter")
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    names = sorted(name.rsplit("/", 1)[-1] for name in archive.namelist())
    assert names == ["README.md", "adapter_config.json", "adapters.safetensors"]
    assert archive.testzip() is None


async def test_a_name_that_leads_elsewhere_is_refused(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    values = wish(run).model_dump(mode="json")
    for name in ("..", "../x", "a/b", ".records", ""):
        answer = await client.post("/api/exports", json={**values, "name": name})
        assert answer.status_code == 422, name
    assert (await client.get("/api/exports")).json() == []
