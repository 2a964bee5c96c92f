"""Scoring ahead: what a run will ask of its teachers is put on disk before it is started.

That is all that is known without learning: completions that come again, the teacher's own, its
marks, and held-out completions, of the student before it learns or of the teacher where it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.config import OnPolicyConfig, RunConfig, dump_config, settings_of
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.evaluation.heldout import complete
from OnPolicyDistill.files import make_private, write_text_atomically
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.methods import KindFacts, facts_of
from OnPolicyDistill.planning.scored import note_scored
from OnPolicyDistill.runs.directory import RunDirectory, config_hash
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.settings.logging import LoggingSettings
from OnPolicyDistill.teacher.scorer import Scorer
from OnPolicyDistill.teacher.several import SeveralTeachers
from OnPolicyDistill.teacher.stored import StoredTeacher
from OnPolicyDistill.training.kept_scores import Asked, score_ahead
from OnPolicyDistill.training.making_teachers import ONLY
from OnPolicyDistill.training.pair import Pair
from OnPolicyDistill.training.teachers import coming_again
from OnPolicyDistill.training.work import Work, begun

# Where the work on it is noted until it is done, inside of the cache's folder.
FOLDER = "ahead"


@dataclass(frozen=True, slots=True)
class ScoredAhead:
    """What was put on disk.

    `error` is the mean KL(teacher || teacher from what is kept), nats a token; None where rows are
    kept as they are.
    """

    folder: str
    num_found: int
    num_made: int
    num_bytes: int
    error: float | None


def place_ahead(config: RunConfig) -> RunDirectory:
    """The folder that scoring ahead of a config works in; the same config finds it again.

    Raises:
        ConfigError: the config keeps nothing on disk, or its method could not.
    """
    if not isinstance(config, OnPolicyConfig):
        raise _asks_nobody(facts_of(settings_of(config)))
    if config.distillation.teacher_cache_dir is None:
        field = "distillation.teacher_cache_dir"
        message = "The config names no folder that keeps what the teacher says."
        raise ConfigError(message, f"Set {field} to a folder.", ((field, "a folder is required"),))
    folder = Path(config.distillation.teacher_cache_dir).expanduser()
    run = RunDirectory(folder / FOLDER / config_hash(config))
    make_private(run.path)
    run.checkpoints.mkdir(exist_ok=True)
    # Nobody watches this work but the terminal.
    quiet = config.distillation.model_copy(update={"logging": LoggingSettings()})
    unwatched = config.model_copy(update={"distillation": quiet})
    write_text_atomically(run.config_file, dump_config(unwatched))
    return run


def _asks_nobody(facts: KindFacts) -> ConfigError:
    """Why a method's teacher, if it has one, cannot be asked ahead, and what can be done."""
    if any(model.role == "teacher" for model in facts.models):
        message = f"{facts.title} keeps nothing of what its teacher says for other runs."
        return ConfigError(message, "Start the run itself: it asks its teacher when it has to.")
    message = f"{facts.title} has no teacher, so there is nothing to score ahead."
    action = (
        "To learn a teacher's own answers to the same prompts, score a config of on-policy "
        "distillation with those prompts, on_policy_fraction: 0, keep_teacher_loaded: false and "
        "teacher_cache_dir."
    )
    return ConfigError(message, action)


def score_run_ahead(
    run: RunDirectory, prepare: Callable[[Work], Pair], observer: Observer, stop: StopRequest
) -> ScoredAhead:
    """Put on disk what a run with these settings will ask of its teachers before it learns.

    Raises:
        StoppedError: a stop was asked for; every row that was scored is on disk.
        DistillError: anything else that ends it, in words.
    """
    with begun(run, observer, stop) as work:
        pair = prepare(work)
        teachers = _by_name(pair.teacher)
        asked = Asked(work, pair.settings, teachers, pair.store)
        # A teacher that leaves has scored everything by now.
        if pair.settings.keep_teacher_loaded:
            work.reporter.phase("evaluating", pair.held_out.in_words)
            student = pair.student.policy
            held_out = complete(student, pair.held_out, SamplingSettings(), work.hooks)
            score_ahead(asked, coming_again(pair.settings, pair.prompts), held_out)
    note_scored(work.config)
    kept = [teacher for teacher in teachers.values() if isinstance(teacher, StoredTeacher)]
    tokens = sum(teacher.errors[2] for teacher in kept)
    lost = sum(teacher.errors[0] * teacher.errors[2] for teacher in kept)
    disk = kept[0].disk  # one folder for all
    return ScoredAhead(
        folder=str(disk.folder),
        num_found=sum(len(teacher.found) for teacher in kept),
        num_made=sum(len(teacher.made) for teacher in kept),
        num_bytes=disk.num_bytes,
        error=lost / tokens if tokens else None,
    )


def _by_name(teacher: Scorer) -> Mapping[str, Scorer]:
    return teacher.teachers if isinstance(teacher, SeveralTeachers) else {ONLY: teacher}
