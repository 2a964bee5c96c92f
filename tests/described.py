"""Holds a run that was made against what its method's description says of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from backend.bundles.incoming import take_in
from backend.bundles.manifest import PRIVATE
from backend.bundles.outgoing import stream_bundle
from backend.settings import BackendSettings
from OnPolicyDistill.config import settings_of
from OnPolicyDistill.methods import facts_of
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import (
    EvaluationFinished,
    PhaseChanged,
    SelfTestFinished,
    StepFinished,
)
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.metrics import METRICS


def assert_as_described(run: RunDirectory) -> None:
    """Phases and metrics are declared, the best one is measured, and it proves what is shown."""
    facts = facts_of(settings_of(run.config()))
    events = list(read_events(run.events_file))
    phases = {event.phase for event in events if isinstance(event, PhaseChanged)}
    assert phases <= {words.phase for words in facts.phases}
    evaluations = [event for event in events if isinstance(event, EvaluationFinished)]
    steps = [event for event in events if isinstance(event, StepFinished)]
    for measured in (*steps, *evaluations):
        assert set(measured.metrics) <= set(METRICS)
    assert evaluations
    if facts.best_metric is not None:
        assert all(facts.best_metric in event.metrics for event in evaluations)
    proofs = [event for event in events if isinstance(event, SelfTestFinished)]
    assert bool(proofs) == facts.face.proves
    assert bool(run.rollouts_file.read_bytes()) == ("rollouts" in facts.face.tabs)
    assert_travels(run)


def assert_travels(run: RunDirectory) -> None:
    """A run that leaves as a bundle comes back as the same tree, whatever its method left there."""
    with tempfile.TemporaryDirectory() as folder:
        settings = BackendSettings(workspace=Path(folder), port=0, min_free_disk_gb=0.0)
        for place in (settings.runs, settings.scratch):
            place.mkdir()
        bundle = settings.scratch / "run.zip"
        bundle.write_bytes(b"".join(stream_bundle(run, "all")))
        assert tree(take_in(settings, bundle)) == tree(run)


def tree(run: RunDirectory) -> dict[str, str | bytes]:
    """What is in a run's folder: bytes of files, and where links lead."""
    found: dict[str, str | bytes] = {}
    for path in run.path.rglob("*"):
        name = path.relative_to(run.path).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file() and name not in PRIVATE:
            found[name] = path.read_bytes()
    return found
