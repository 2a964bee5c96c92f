import json
from typing import Protocol

from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EvaluationFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.trainers.on_policy import train


class Classroom(Protocol):
    def create(self, **settings: object) -> RunDirectory: ...


def test_accuracy_says_over_how_many_prompts_it_was_counted(classroom: Classroom) -> None:
    run = classroom.create(num_steps=1, eval_every=1, checkpoint_every=1)
    rows = [{"prompt": "half past 1", "answer": "x"}, {"prompt": "half past 2"}]
    (run.path.parent.parent / "validation.jsonl").write_text("\n".join(map(json.dumps, rows)))
    train(run)
    evaluations = [e for e in read_events(run.events_file) if isinstance(e, EvaluationFinished)]
    assert [e.metrics["eval_num_graded"] for e in evaluations] == [1, 1]
    assert {e.metrics["eval_accuracy"] for e in evaluations} <= {0.0, 1.0}
