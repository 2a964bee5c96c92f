"""Reaching a teacher that lives elsewhere, before the first step: same tokens, its head, its form.

The connection is closed when the work on the run ends.
"""

from __future__ import annotations

from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.teacher.asking import Asking
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.reached import ServedModel, fetch_head, read_about
from OnPolicyDistill.teacher.remote import RemoteTeacher
from OnPolicyDistill.teacher.scorer import LocalModel, TargetForm, shared_vocab_size
from OnPolicyDistill.teacher.wire import Wanted
from OnPolicyDistill.training.work import Work

OTHER_TOKENS = "Serve a teacher of the student's family: both have to have the same tokenizer."


def reach_teacher(
    work: Work, settings: DistillationSettings, student: LocalModel
) -> tuple[RemoteTeacher, int]:
    """The served teacher, and how many tokens it shares with the student.

    Raises:
        ConfigError: the variable of the key is not set.
        PairError: the two speak different tokens.
        RunError: the server does not answer, or not as it should.
    """
    endpoint = settings.teacher_endpoint
    leaving = "Prompts and completions leave this machine. " if endpoint.leaves_machine else ""
    said = f"{leaving}Comparing tokens with {settings.teacher_name} at {endpoint.base}."
    work.reporter.phase("loading", said)
    asking = Asking(endpoint)
    work.closing.callback(asking.close)
    about = read_about(asking, endpoint)
    served = ServedModel(asking, endpoint, about)
    vocab_size = shared_vocab_size(student, served, OTHER_TOKENS)
    head = None
    if about is not None:
        work.reporter.phase("loading", f"Fetching the vocabulary head of {served.name}.")
        head = fetch_head(asking, vocab_size)
    wanted = Wanted(
        model=str(endpoint.model),
        server=endpoint.server,
        vocab_size=vocab_size,
        teacher="" if about is None else about.fingerprint,
    )
    top_k = min(settings.top_k, vocab_size)
    form = TargetForm(settings.teacher_targets, top_k, settings.temperature)
    cache = TeacherCache(settings.teacher_cache_size_mb * 1_000_000)
    return RemoteTeacher(asking, wanted, form, cache, endpoint.top_k, head), vocab_size
