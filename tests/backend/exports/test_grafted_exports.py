"""A run of surgery leaves as a whole grafted model, written by its own process."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from backend.backend import Backend
from backend.exports.exports import Exports
from backend.exports.options import read_options, stream_adapter
from backend.exports.views import ExportWish
from backend.models.place import Hub
from backend.problems import WrongFieldError
from OnPolicyDistill.config import ProjectorConfig
from OnPolicyDistill.models.projector import fresh_projector, save_projector
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.settings.projector import ProjectorSettings
from tests.backend.conftest import wait_until
from tests.grafts import write_language, write_vision

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def run(backend: Backend, tmp_path: Path) -> RunDirectory:
    settings = ProjectorSettings(
        vision_model=str(write_vision(tmp_path / "vision")),
        language_model=str(write_language(tmp_path / "language")),
    )
    run = create_run(backend.settings.workspace, ProjectorConfig(projector=settings))
    projector = fresh_projector("linear", (40, 24), 3)
    state = TrainingState(step=5, config_hash="a", seed=0, data_cursor=0, num_tokens=0)
    saved = save_checkpoint(run, state, lambda folder: save_projector(folder, projector, {}))
    point(run, "best", saved)
    return run


def test_a_grafted_model_can_only_leave_whole(backend: Backend, run: RunDirectory) -> None:
    options = read_options(backend, Hub(), run.run_id, None, "")
    possible = {form.form: form.obstacle is None for form in options.forms}
    assert possible == {
        "adapter": False,
        "peft": False,
        "fused": True,
        "quantized": False,
        "gguf": False,
    }
    whole = next(form for form in options.forms if form.form == "fused")
    assert whole.num_bytes is not None
    with pytest.raises(WrongFieldError, match="only whole"):
        Exports(backend, Hub()).start(
            ExportWish(run_id=run.run_id, checkpoint=5, form="gguf", name="student"), blocked=""
        )


def test_the_whole_model_is_written_with_the_projector_of_its_checkpoint(
    backend: Backend, run: RunDirectory
) -> None:
    exports = Exports(backend, Hub())
    wish = ExportWish(run_id=run.run_id, checkpoint=5, form="fused", name="student")
    exports.start(wish, blocked="")
    wait_until(lambda: exports.get("student").work.state != "running")
    done = exports.get("student")
    assert (done.work.state, done.work.message) == ("finished", "")
    assert "this is step 5" in (Path(done.path) / "README.md").read_text(encoding="utf-8")
    wait_until(lambda: exports.list() is not None and not exports._workshop._processes)


def test_a_projector_alone_is_sent_as_a_zip_file(run: RunDirectory) -> None:
    data = b"".join(stream_adapter(Hub(), run, run.checkpoints / "000005"))
    names = zipfile.ZipFile(BytesIO(data)).namelist()
    assert sorted(Path(name).name for name in names) == [
        "README.md",
        "projector.safetensors",
        "projector_config.json",
    ]
