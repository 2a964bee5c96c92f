"""Student and teacher as a pair: which tokens they share, and a teacher that scores in them."""

from __future__ import annotations

from dataclasses import replace

from OnPolicyDistill.models.loading import find_folder, load_policy
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scorer import LocalModel, TargetForm, shared_vocab_size
from OnPolicyDistill.teacher.scoring import Teacher

ANOTHER_PAIR = "Choose two models with the same tokenizer, such as two sizes of one family."


def compare_folders(student: str, teacher: str, action: str = ANOTHER_PAIR) -> int:
    """Make sure from files alone that both models speak the same tokens; how many they share.

    Raises:
        PairError: they do not; `action` is what can be done about it.
    """
    learner, scorer = (LocalModel(name, find_folder(name)) for name in (student, teacher))
    return shared_vocab_size(learner, scorer, action)


def load_teacher(settings: DistillationSettings, vocab_size: int, reporter: Reporter) -> Teacher:
    """Load the teacher of a distillation, its words cut to the shared vocabulary."""
    reporter.phase("loading", f"Loading the teacher {settings.teacher_model}.")
    policy = load_policy(settings.teacher_model, settings.mixed_precision)
    top_k = min(settings.top_k, vocab_size)
    form = TargetForm(settings.teacher_targets, top_k, settings.temperature)
    cache = TeacherCache(settings.teacher_cache_size_mb * 1_000_000)
    return Teacher(replace(policy, vocab_size=vocab_size), cache, form)
