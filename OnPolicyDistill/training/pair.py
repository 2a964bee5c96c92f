"""Student and teacher as a pair: which tokens they share, and a teacher that scores in them."""

from __future__ import annotations

from dataclasses import replace

from OnPolicyDistill.errors import PairError
from OnPolicyDistill.models.loading import find_folder, load_policy
from OnPolicyDistill.planning.pair import check_pair
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scoring import TargetForm, Teacher

ANOTHER_PAIR = "Choose two models with the same tokenizer, such as two sizes of one family."


def shared_vocab_size(student: str, teacher: str, action: str = ANOTHER_PAIR) -> int:
    """Make sure from files alone that both models speak the same tokens; how many they share.

    Raises:
        PairError: they do not; `action` is what can be done about it.
    """
    report = check_pair(find_folder(student), find_folder(teacher))
    if report.verdict == "mismatch" or report.shared_vocab_size is None:
        raise PairError(f"{student} cannot learn from {teacher}: {report.summary}", action)
    return report.shared_vocab_size


def load_teacher(settings: DistillationSettings, vocab_size: int, reporter: Reporter) -> Teacher:
    """Load the teacher of a distillation, its words cut to the shared vocabulary."""
    reporter.phase("loading", f"Loading the teacher {settings.teacher_model}.")
    policy = load_policy(settings.teacher_model, settings.mixed_precision)
    top_k = min(settings.top_k, vocab_size)
    form = TargetForm(settings.teacher_targets, top_k, settings.temperature)
    cache = TeacherCache(settings.teacher_cache_size_mb * 1_000_000)
    return Teacher(replace(policy, vocab_size=vocab_size), cache, form)
