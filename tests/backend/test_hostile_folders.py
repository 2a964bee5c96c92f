"""A real backend over folders that crashes and attackers left: every other run works."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from backend.backend import Backend
from backend.bundles.outgoing import stream_bundle
from backend.folder import read_checkpoints
from backend.supervisor.slot import Slot, load_slot
from benchmarks.backend_process import BackendProcess, running_backend
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.annotations import Annotations, write_annotations
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from tests.backend.conftest import wait_until, write_steps
from tests.backend.tiny import write_tiny_model
from tests.mutations import mutate

pytestmark = pytest.mark.timeout(300)

MAX_GROWTH_BYTES = 300_000_000
NUM_FOLDERS, NUM_BUNDLES, NUM_MODELS = 240, 60, 60
PATHS = ("", "/checkpoints", "/rollouts", "/log", "/artifacts", "/metrics", "/marks", "/events")


def write_run(workspace: Path) -> RunDirectory:
    """A run with something of every kind of file."""
    run = create_run(workspace, parse_config({"distillation": {"run_name": "sound"}}))
    write_steps(run, 20)
    for step in (10, 20):
        state = TrainingState(step=step, config_hash="x", seed=0, data_cursor=0, num_tokens=0)
        save_checkpoint(run, state, lambda at: (at / "adapters.safetensors").write_bytes(b"w" * 99))
    point(run, "best", run.checkpoints / "000010")
    write_annotations(run, Annotations(note="kept", tags=("a",)))
    rollout = {
        "step": 1, "index": 0, "source": "student", "prompt": "p", "completion": "c",
        "finish_reason": "stop", "token_ids": [1], "token_texts": ["c"], "student_logprobs": [-1.0],
    }  # fmt: skip
    run.rollouts_file.write_text(f"{json.dumps(rollout)}\n" * 3)
    run.log_file.write_text("words\n")
    (run.path / "report.txt").write_text("report\n")
    for name in ("worker.json", "control.json", "postmortem.json", "forecast.json"):
        (run.path / name).write_text('{"pid": 999999, "started": 1.0}')
    return run


def hurt(run: RunDirectory, choice: random.Random, number: int) -> tuple[RunDirectory, str]:
    """Copy a run under another name and damage it."""
    name = f"distill_20260101_{number:06d}_0000"
    copy = RunDirectory(run.path.with_name(name))
    shutil.copytree(run.path, copy.path, symlinks=True)
    return copy, mutate(copy.path, choice)


def peak_bytes(process: psutil.Process) -> int:
    """The most memory that a process had; where the system does not tell, what it has."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        return int(process.memory_info().rss)
    line = next(it for it in status.read_text().splitlines() if it.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@contextmanager
def bounded(workspace: Path, limit: int | None = None) -> Iterator[BackendProcess]:
    """Lend a backend that may not grow beyond a limit, or beyond its own start."""
    with running_backend(workspace) as backend:
        process = psutil.Process(backend.process.pid)
        limit = peak_bytes(process) + MAX_GROWTH_BYTES if limit is None else limit
        yield backend
        assert peak_bytes(process) < limit


def listed(backend: BackendProcess) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    while True:
        query = f"/runs?limit=500&archived=all&offset={len(found)}"
        page = backend.ask(query).json()
        found |= {run["run_id"]: run for run in page["runs"]}
        if not page["runs"] or len(found) >= page["total"]:
            return found


def assert_sound(backend: BackendProcess, run: RunDirectory) -> None:
    """A sound run is answered as if it were alone."""
    page = backend.ask(f"/runs/{run.run_id}").json()
    assert (page["run"]["step"], page["run"]["damage"]) == (20, None)
    checkpoints = backend.ask(f"/runs/{run.run_id}/checkpoints").json()["checkpoints"]
    assert [it["step"] for it in checkpoints] == [10, 20]
    assert backend.ask(f"/runs/{run.run_id}/metrics/loss").status_code == 200
    assert len(backend.ask(f"/runs/{run.run_id}/rollouts").json()["rollouts"]) == 3


def test_three_hundred_damaged_folders_and_bundles_cost_the_other_runs_nothing(
    tmp_path: Path, fuzz_rounds: int
) -> None:
    for round_number in range(fuzz_rounds):
        workspace = tmp_path / str(round_number)
        choice = random.Random(round_number)
        sound = write_run(workspace)
        with bounded(workspace) as backend:
            limit = peak_bytes(psutil.Process(backend.process.pid)) + MAX_GROWTH_BYTES
            hurt_runs = dict(hurt(sound, choice, it) for it in range(NUM_FOLDERS // 2))
            ask_all(backend, sound, hurt_runs, choice)
            send_bundles(backend, sound, choice)
            assert_sound(backend, sound)
        hurt_runs |= dict(hurt(sound, choice, it) for it in range(NUM_FOLDERS // 2, NUM_FOLDERS))
        with bounded(workspace, limit) as backend:
            ask_all(backend, sound, hurt_runs, choice)


def ask_all(
    backend: BackendProcess,
    sound: RunDirectory,
    hurt_runs: dict[RunDirectory, str],
    choice: random.Random,
) -> None:
    expected = {run.run_id for run in hurt_runs if run.is_there} | {sound.run_id}
    wait_until(lambda: expected <= listed(backend).keys())
    for run, damage in hurt_runs.items():
        for path in choice.sample(PATHS, 2):
            response = backend.ask(f"/runs/{run.run_id}{path}")
            assert response.status_code != 500, (damage, path, response.text)
    assert backend.ask("/runs?filter=loss<5&sort=-loss").status_code == 200
    assert backend.ask("/run-keys").status_code == 200
    assert_sound(backend, sound)


def send_bundles(backend: BackendProcess, run: RunDirectory, choice: random.Random) -> None:
    good = b"".join(stream_bundle(run, "all")).replace(run.run_id.encode(), b"x" * len(run.run_id))
    names = {entry.filename for entry in zipfile.ZipFile(io.BytesIO(good)).infolist()}
    assert "checkpoints/000010/state.json" in names
    for _ in range(NUM_BUNDLES):
        data = bytearray(good)
        for _ in range(choice.randint(1, 6)):
            data[choice.randrange(len(data))] = choice.randrange(256)
        del data[len(data) - choice.choice((0, 0, 1, 30, 500)) :]
        response = backend.client.post(
            "/bundles", content=bytes(data), headers={"content-type": "application/zip"}
        )
        assert response.status_code in (201, 409, 422), response.text
        if response.status_code == 201:
            shutil.rmtree(run.path.with_name(response.json()["run_id"]))


WORST = {
    # A Mac's disk refuses a name that is no text; another character that no run has will do there.
    "a name that is no text": lambda run: run.path.rename(
        f"{run.path}\udcff" if sys.platform == "linux" else f"{run.path}\t"
    ),
    "a name with a line end": lambda run: run.path.rename(f"{run.path}\n"),
    "settings as a pipe": lambda run: (run.config_file.unlink(), os.mkfifo(run.config_file)),
    "settings as a folder": lambda run: (run.config_file.unlink(), run.config_file.mkdir()),
    "settings as a link": lambda run: (
        run.config_file.unlink(), run.config_file.symlink_to("/etc/passwd"),
    ),
    "no settings": lambda run: run.config_file.unlink(),
    "a huge number": lambda run: run.config_file.write_text(
        f"distillation: {{seed: 0x{'f' * 20_000}}}"
    ),
    "the log as a pipe": lambda run: (run.events_file.unlink(), os.mkfifo(run.events_file)),
    "a step below 0": lambda run: run.events_file.write_text(
        '{"seq": 0, "time": 1.0, "kind": "run_paused", "step": -5, "reason": ""}\n'
    ),
    "an endless line": lambda run: os.truncate(run.events_file, 200_000_000),
    "a log of other things": lambda run: run.events_file.write_text(
        json.dumps({"seq": 0, "kind": "step_finished", "step": 1,
                    "metrics": {f"m{it}": 1.0 for it in range(30_000)}}) + "\n"
    ),
}  # fmt: skip


def test_each_of_the_worst_folders_is_listed_with_its_reason(tmp_path: Path) -> None:
    """Half of them are there when the backend starts, half appear while it runs."""
    sound = write_run(tmp_path)

    def add(first: int) -> None:
        for number, damage in [*enumerate(WORST.values())][first::2]:
            copy = RunDirectory(sound.path.with_name(f"distill_20260101_{number:06d}_0000"))
            shutil.copytree(sound.path, copy.path, symlinks=True)
            damage(copy)

    add(0)
    with bounded(tmp_path) as backend:
        add(1)
        wait_until(lambda: len(listed(backend)) == len(WORST) + 1)
        # A copy that was seen half made is looked at again.
        wait_until(lambda: sum(run["damage"] is None for run in listed(backend).values()) == 1)
        assert_sound(backend, sound)
        for run_id in listed(backend):
            assert backend.ask(f"/runs/{run_id}").status_code != 500
            assert backend.ask(f"/runs/{run_id}/bundle").status_code != 500


HARMLESS = {
    "worker -1": ("worker.json", '{"pid": -1, "started": 0.0}'),
    "worker 0": ("worker.json", '{"pid": 0, "started": 0.0}'),
    "worker beyond": ("worker.json", f'{{"pid": {10**30}, "started": 0.0}}'),
    "checkpoint ²": ("checkpoints/²/state.json", "{}"),
    "checkpoint by the thousand": (f"checkpoints/{'9' * 200}/state.json", "{}"),
    "evaluation ²": ("evaluations/².json", "{}"),
}


def test_what_is_strange_beside_a_sound_log_is_passed_over(backend: Backend) -> None:
    for name, text in HARMLESS.values():
        run = write_run(backend.settings.workspace)
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_text(text)
    backend.watcher.start()
    found = [backend.index.get(run_id) for run_id in backend.index.fingerprints()]
    assert len(found) == len(HARMLESS)
    for summary in found:
        assert summary is not None
        assert (summary.damage, summary.state, summary.step) == (None, "interrupted", 20)


@pytest.mark.parametrize(
    "text",
    [
        '{"active": {"run_id": "../../x", "verb": "train"}}',
        '{"active": {"run_id": "a", "verb": "train", "worker": {"pid": -5, "started": 0.0}}}',
        '{"queue": [{"run_id": "/etc", "verb": "resume", "added": 0}]}',
        "{",
    ],
)
def test_a_hostile_queue_is_put_aside(tmp_path: Path, text: str) -> None:
    (tmp_path / "supervisor.json").write_text(text)
    assert load_slot(tmp_path) == Slot()
    assert [it.read_text() for it in tmp_path.glob("supervisor.json.damaged-*")] == [text]
    os.mkfifo(tmp_path / "supervisor.json")
    assert load_slot(tmp_path) == Slot()


async def test_links_in_the_workspace_itself_are_not_followed(
    backend: Backend, tmp_path: Path
) -> None:
    workspace, elsewhere = backend.settings.workspace, tmp_path / "elsewhere"
    run = write_run(workspace)
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    (workspace / "scratch" / "link").symlink_to(elsewhere)
    (workspace / "runs" / "distill_link").symlink_to(run.path)
    shutil.rmtree(run.path / "checkpoints" / "000020")
    (run.path / "checkpoints" / "000020").symlink_to(run.path / "checkpoints" / "000010")
    async with backend.running():
        assert backend.index.fingerprints().keys() == {run.run_id}
        assert [it.step for it in read_checkpoints(backend.log(run.run_id))] == [10]
    assert (elsewhere / "precious").read_text() == "x"


def test_sixty_damaged_model_folders_cost_the_other_models_nothing(
    tmp_path: Path, fuzz_rounds: int
) -> None:
    sound = write_tiny_model(tmp_path / "sound")
    for round_number in range(fuzz_rounds):
        workspace, choice = tmp_path / str(round_number), random.Random(round_number)
        workspace.mkdir()
        with bounded(workspace) as backend:
            added = backend.ask("/models/folders", {"path": str(sound)})
            assert added.json()["problem"] is None
            for number in range(NUM_MODELS):
                copy = workspace / f"model{number}"
                shutil.copytree(sound, copy)
                ask_about(backend, sound, copy, mutate(copy, choice))
            models = backend.ask("/models").json()["local"]
            (still,) = [model for model in models if model["id"] == added.json()["id"]]
            assert still["problem"] is None


def ask_about(backend: BackendProcess, sound: Path, hurt: Path, damage: str) -> None:
    """What the pages ask about a model; any answer will do that is one."""
    pair = {"student": str(hurt), "teacher": str(sound)}
    config = {"method": "sft", "sft": {"model": str(hurt)}}
    for path, body in (
        ("/models/folders", {"path": str(hurt)}),
        ("/pair", pair),
        ("/check", {"config": config}),
    ):
        response = backend.ask(path, body)
        assert response.status_code < 500, (damage, path, response.text)
