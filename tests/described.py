"""Holds a run that was made against what its method's description says of it."""

from __future__ import annotations

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
