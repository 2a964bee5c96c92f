"""Loggers are told a run's metrics, and whatever they do, the run goes on and says so."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event as TensorBoardEvent

from OnPolicyDistill.config import SftConfig
from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.runs.directory import RunDirectory, config_hash, create_run
from OnPolicyDistill.runs.events import EvaluationFinished, RunFinished, Warned
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.loggers import following
from OnPolicyDistill.runs.loggers.entries import Opening
from OnPolicyDistill.runs.loggers.following import environment_for, without_secrets
from OnPolicyDistill.runs.reporting import StopRequest, announce, occupying
from OnPolicyDistill.settings.logging import LoggingSettings
from OnPolicyDistill.settings.sft import SftSettings

# Packages with the calls of the real ones (wandb 0.31, trackio 0.43), which note what they get.
RECORDER = """
import inspect, json, os
def note(what, **values):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(json.dumps([what, values], default=str) + "\\n")
"""
WANDB = (
    RECORDER
    + """
class Settings:
    def __init__(self, silent=False, console="auto", save_code=None, disable_code=False,
                 disable_git=False, x_disable_meta=False, x_disable_stats=False,
                 x_disable_machine_info=False, x_save_requirements=True):
        self.sends = not (disable_code and disable_git and x_disable_meta and x_disable_stats
                          and x_disable_machine_info) or x_save_requirements
class Run:
    def log(self, data, step=None, commit=None):
        note("log", data=data, step=step)
    def define_metric(self, name, step_metric=None, step_sync=None, hidden=None, summary=None,
                      overwrite=None):
        note("define_metric", name=name, step_metric=step_metric)
    def finish(self, exit_code=None):
        note("finish")
def init(entity=None, project=None, dir=None, id=None, name=None, notes=None, tags=None,
         config=None, mode=None, resume=None, settings=None):
    print("wandb: a banner")
    note("init", entity=entity, project=project, id=id, dir=dir, config=config, mode=mode,
         resume=resume, sends=settings.sends, reports=os.environ["WANDB_ERROR_REPORTING"])
    return Run()
"""
)
TRACKIO = (
    RECORDER
    + """
class Run:
    def log(self, metrics, step=None):
        note("log", metrics=metrics, step=step)
    def finish(self):
        note("finish")
def init(project, name=None, group=None, space_id=None, server_url=None, dataset_id=None,
         bucket_id=None, config=None, resume="never", settings=None, private=None, embed=True,
         auto_log_gpu=None, gpu_log_interval=10.0, auto_log_cpu=None, cpu_log_interval=10.0,
         webhook_url=None, webhook_min_level=None):
    print("* Trackio project initialized")
    note("init", project=project, name=name, space_id=space_id, resume=resume, private=private,
         looks=[embed, auto_log_gpu, auto_log_cpu], is_offline=os.environ.get("HF_HUB_OFFLINE"),
         space_by_environment=os.environ.get("TRACKIO_SPACE_ID"))
    return Run()
"""
)


def new_run(workspace: Path, **logging: object) -> RunDirectory:
    settings = SftSettings.model_validate({"logging": logging, "num_steps": 9})
    return create_run(workspace, SftConfig(sft=settings))


def work_on(
    run: RunDirectory, steps: range, resumed_at: int | None = None, finishes: bool = True
) -> None:
    """What a trainer says of a run, without any training."""
    with occupying(run, None, StopRequest()) as (reporter, stop):
        reporter.step = resumed_at or 0
        announce(reporter, run.config(), lambda _config: ())
        for step in steps:
            reporter.finish_step(step, {"loss": 1 / step, "unheard_of": 1.0})
        reporter.emit(EvaluationFinished(step=steps[-1], metrics={"eval_loss": 0.5}))
        if not finishes:
            stop.set()
            stop.check()
        reporter.emit(RunFinished(step=steps[-1], because="completed", report={}))


def warnings_of(run: RunDirectory) -> dict[str, str]:
    return {e.code: f"{e.message} {e.action}" for e in warned(run)}


def warned(run: RunDirectory) -> list[Warned]:
    return [event for event in read_events(run.events_file) if isinstance(event, Warned)]


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, source: str) -> Path:
    """Put a package where the logger's process finds it; returns where it writes notes."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("NOTES", str(folder / "notes.jsonl"))
    return folder / "notes.jsonl"


def read_notes(notes: Path) -> list[tuple[str, dict[str, object]]]:
    return [(what, values) for what, values in map(json.loads, notes.read_text().splitlines())]


def tensorboard_events(folder: Path) -> list[TensorBoardEvent]:
    """Every record of every event file: length, checksum, bytes, checksum."""
    found = []
    for file in sorted(folder.iterdir(), key=lambda each: each.stat().st_mtime_ns):
        data = file.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            found.append(TensorBoardEvent.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def test_no_logger_is_on_unless_the_settings_name_it(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    work_on(run, range(1, 3))
    assert not (tmp_path / "loggers").exists()
    assert run.config().sft.logging == LoggingSettings()
    assert run.config().sft.logging.in_words == ""


def test_tensorboard_gets_every_number_with_its_step_and_time(tmp_path: Path) -> None:
    run = new_run(tmp_path, tensorboard=True)
    work_on(run, range(1, 6))
    events = tensorboard_events(tmp_path / "loggers" / "tensorboard" / run.run_id)
    points = {
        (value.tag, event.step): (value.simple_value, event.wall_time)
        for event in events
        for value in event.summary.value
    }
    own = {e.step: e for e in read_events(run.events_file) if e.kind == "step_finished"}
    for step in range(1, 6):
        value, when = points["learning/loss", step]
        assert value == pytest.approx(1 / step)
        assert when == pytest.approx(own[step].time, abs=1e-3)
    assert points["evaluation/eval_loss", 5][0] == 0.5
    assert not any("unheard_of" in tag for tag, _ in points)
    said = [e.detail for e in read_events(run.events_file) if e.kind == "phase_changed"]
    assert said == ["Metrics also go to TensorBoard."]
    assert not warned(run)


def test_tensorboard_hides_what_a_resume_undid(tmp_path: Path) -> None:
    run = new_run(tmp_path, tensorboard=True)
    with pytest.raises(StoppedError):
        work_on(run, range(1, 6), finishes=False)
    work_on(run, range(4, 7), resumed_at=3)
    events = tensorboard_events(tmp_path / "loggers" / "tensorboard" / run.run_id)
    starts = [e.step for e in events if e.session_log.status == e.session_log.START]
    assert starts == [4]
    steps = Counter(e.step for e in events for v in e.summary.value if v.tag == "learning/loss")
    assert steps == {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 1}


def test_wandb_is_told_offline_under_our_id_and_sends_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    notes = install(monkeypatch, tmp_path / "packages", "wandb", WANDB)
    run = new_run(tmp_path, wandb="offline", project="mine")
    work_on(run, range(1, 4))
    (_, opened), *rest = read_notes(notes)
    expected = {"id": run.run_id, "project": "mine", "mode": "offline", "resume": "allow"}
    assert opened.items() >= {**expected, "sends": False, "reports": "false"}.items()
    assert opened["config"]["num_steps"] == 9
    assert "logging" not in opened["config"]
    assert ("define_metric", {"name": "*", "step_metric": "step"}) in rest
    told = [values["data"] for what, values in rest if what == "log"]
    assert [each["step"] for each in told] == [1, 2, 3, 3]
    assert told[1] == {"learning/loss": 0.5, "step": 2}
    assert rest[-1][0] == "finish"
    assert "banner" not in "".join(capfd.readouterr())


def test_trackio_stays_on_this_machine_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = install(monkeypatch, tmp_path / "packages", "trackio", TRACKIO)
    monkeypatch.setenv("TRACKIO_SPACE_ID", "somebody/else")
    run = new_run(tmp_path, trackio=True)
    work_on(run, range(1, 3))
    (_, opened), *rest = read_notes(notes)
    assert opened == {
        "project": "onpolicydistill",
        "name": run.run_id,
        "space_id": None,
        "resume": "allow",
        "private": None,
        "looks": [False, False, False],
        "is_offline": "1",
        "space_by_environment": None,
    }
    assert [values["step"] for what, values in rest if what == "log"] == [1, 2, 2]


def test_a_space_that_the_settings_name_is_private_and_may_be_reached() -> None:
    opening = Opening(run_id="r", folder="f", project="p", space="me/mine")
    own = environment_for("trackio", opening, {"HF_TOKEN": "hf_abcdef", "TRACKIO_SPACE_ID": "x/y"})
    assert own == {"HF_TOKEN": "hf_abcdef", "WANDB_ERROR_REPORTING": "false"}
    assert LoggingSettings(trackio=True, trackio_space="me/mine").in_words == "trackio (me/mine)"


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_logger_whose_package_is_not_installed_is_told_once(tmp_path: Path, name: str) -> None:
    on = "offline" if name == "wandb" else True
    run = new_run(tmp_path, **{name: on})
    work_on(run, range(1, 4))
    assert f"pip install {name}" in warnings_of(run)["logger_absent"]
    assert Counter(each.code for each in warned(run))["logger_absent"] == 1
    assert run.state() == "finished"


def test_a_logger_that_raises_is_told_once_without_keys_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "0123456789abcdef"
    monkeypatch.setenv("WANDB_API_KEY", key)
    failing = "\n    raise OSError('denied for ' + os.environ['WANDB_API_KEY'])"
    source = WANDB.replace('\n    print("wandb: a banner")', failing)
    install(monkeypatch, tmp_path / "packages", "wandb", source)
    run = new_run(tmp_path, wandb="online")
    work_on(run, range(1, 4))
    assert "OSError: denied for ***" in warnings_of(run)["logger_failed"]
    assert key not in run.events_file.read_text()
    assert run.state() == "finished"
    assert Counter(each.code for each in warned(run))["logger_failed"] == 1


def test_a_logger_that_hangs_holds_up_no_step_and_what_it_missed_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, tmp_path / "packages", "trackio", "import time\ntime.sleep(60)\n")
    monkeypatch.setattr(following, "CLOSING_SECONDS", 0.2)
    monkeypatch.setattr(following.Follower.__init__, "__defaults__", (10,))
    run = new_run(tmp_path, trackio=True)
    began = time.monotonic()
    work_on(run, range(1, 3000))
    # Sixty seconds of sleep are not waited for; the bound is far from what 3,000 lines take.
    assert time.monotonic() - began < 30
    told = warnings_of(run)
    assert "slower than the run makes them" in told["logger_slow"]
    assert "not done after 0.2 seconds" in told["logger_failed"]
    num_missed = int(told["logger_dropped"].split("told of ")[1].split()[0])
    assert 1000 < num_missed <= 3000
    assert run.state() == "finished"


def test_what_goes_wrong_at_the_end_stands_before_the_last_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = TRACKIO.replace('note("finish")', 'raise RuntimeError("no room")')
    install(monkeypatch, tmp_path / "packages", "trackio", source)
    run = new_run(tmp_path, trackio=True)
    work_on(run, range(1, 3))
    kinds = [event.kind for event in read_events(run.events_file)]
    assert kinds[-2:] == ["warning", "run_finished"]
    assert "no room" in warnings_of(run)["logger_failed"]


def test_loggers_change_no_hash_of_a_run(tmp_path: Path) -> None:
    plain, told = new_run(tmp_path), new_run(tmp_path, tensorboard=True, wandb="offline")
    assert config_hash(plain.config()) == config_hash(told.config())


def test_values_of_secret_variables_are_blotted_out_and_others_are_not() -> None:
    environment = {"HF_TOKEN": "hf_secret", "MY_PASSWORD": "abc", "PATH": "/usr/bin"}
    told = without_secrets("hf_secret abc /usr/bin", environment)
    assert told == "*** abc /usr/bin"


@pytest.mark.parametrize(
    "values",
    [{"trackio_space": "me/mine"}, {"wandb_entity": "me"}, {"project": "../up"}, {"wandb": "on"}],
)
def test_settings_of_loggers_that_contradict_each_other_are_refused(values: object) -> None:
    with pytest.raises(ValueError, match=r"off|pattern|offline"):
        LoggingSettings.model_validate(values)
