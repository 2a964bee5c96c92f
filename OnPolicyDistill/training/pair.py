"""Student and teacher as a pair: loaded, sharing their tokens, with the prompts they work on.

With `keep_teacher_loaded` both models are in memory. Without it they never are at the same time:
the student samples and leaves, the teacher scores into the cache and leaves, the student learns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from OnPolicyDistill.adapters.files import load_adapter
from OnPolicyDistill.adapters.lora import AttachedAdapter
from OnPolicyDistill.config import BLOCK_OF_METHOD
from OnPolicyDistill.evaluation.heldout import HeldOut, complete, grade_and_keep
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.models.loading import find_folder, unload
from OnPolicyDistill.models.policy import Policy, refuse_different_sight
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.held_out_answers import write_answers
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scorer import (
    EXACT,
    LocalModel,
    Scorer,
    TargetForm,
    shared_vocab_size,
)
from OnPolicyDistill.teacher.scoring import Teacher
from OnPolicyDistill.teacher.shards import ShardedTeacher, load_shard
from OnPolicyDistill.teacher.student_copy import StudentCopyTeacher
from OnPolicyDistill.training.distillation import PROBE_ROWS, prove
from OnPolicyDistill.training.prompts import read_prompts
from OnPolicyDistill.training.reaching import reach_teacher
from OnPolicyDistill.training.rollouts import (
    COMPLETIONS_FILE,
    CompletionStore,
    MicroBatch,
    Row,
    complete_rows,
    first_epoch,
    make_completions,
    uses_fixed_rollouts,
)
from OnPolicyDistill.training.served import require_served
from OnPolicyDistill.training.student import Student, put_adapter_on, student_of
from OnPolicyDistill.training.turn_ends import warn_of_unstopped_turns
from OnPolicyDistill.training.work import Work

ANOTHER_PAIR = "Choose two models with the same tokenizer, such as two sizes of one family."

# Loads a model by what the config calls it.
Load = Callable[[str], Policy]
# Reads a prompt file as a policy will see it.
EncodeFor = Callable[[Policy, Path], tuple[EncodedPrompt, ...]]


@dataclass(frozen=True, slots=True)
class Pair:
    """A student and its teacher with what they are taught by; only the student's arrays change.

    `teacher_marks` say which held-out prompts the teacher answers rightly, and are empty where it
    writes nothing; the store has the completions that come again. `copies` are teachers that are
    earlier states of the student, by the file that a checkpoint keeps them in.
    """

    settings: DistillationSettings
    student: Student
    teacher: Scorer
    prompts: tuple[EncodedPrompt, ...]
    held_out: HeldOut
    teacher_marks: tuple[float | None, ...]
    store: CompletionStore
    copies: Mapping[str, StudentCopyTeacher] = field(default_factory=dict)

    @property
    def texts(self) -> dict[int, str]:
        """Prompts as people read them, by their place in the file."""
        return {prompt.index: prompt.text for prompt in self.prompts}

    def begin(self, step: int) -> None:
        """Let copies of the student hear that a step begins."""
        for copy in self.copies.values():
            copy.begin(step)

    def save(self, folder: Path) -> None:
        """Write what a checkpoint needs: the student, and its copies."""
        self.student.save(folder)
        for name, copy in self.copies.items():
            copy.save(folder / name)

    def load(self, checkpoint: Path) -> None:
        """Put student and copies back as a checkpoint has them."""
        self.student.load(checkpoint)
        for name, copy in self.copies.items():
            copy.load(checkpoint / name)


def prepare_pair(work: Work, settings: DistillationSettings, load: Load, encode: EncodeFor) -> Pair:
    """Load models and prompts, put the adapter on, and make what has to exist before step 1.

    Raises:
        DistillError: a file, a model or the pair cannot be used.
    """
    if settings.is_served:
        return _prepare_served(work, settings, load, encode)
    reporter = work.reporter
    reporter.phase("loading", "Comparing the tokenizers of student and teacher.")
    vocab_size = compare_folders(settings.student_model, settings.teacher_model)
    policy, adapter = load_student(work, settings, load, vocab_size)
    warn_of_unstopped_turns(policy, reporter)
    prompts, settings = read_prompts(settings, lambda file: encode(policy, file), reporter)
    store = CompletionStore(work.run.path / COMPLETIONS_FILE)
    coming_again = first_epoch(settings, prompts.train) if uses_fixed_rollouts(settings) else []
    make_completions("student", policy, coming_again, store, settings.limited(), work)
    if not settings.keep_teacher_loaded:
        unload(policy)
    teacher, held_out = _load_teacher(work, settings, load, vocab_size), prompts.held_out
    if policy.sight is not None or teacher.policy.sight is not None:
        refuse_different_sight(policy, teacher.policy)
    require_served(teacher, settings, BLOCK_OF_METHOD[work.config.method])
    marks: tuple[float | None, ...] = ()
    if teacher.offer.completes:
        teacher.share_prefix([prompt.ids for prompt in (*prompts.train, *held_out.prompts)])
        marks, own = grade_and_keep(teacher.policy, held_out, work.hooks)
        write_answers(work.run, "teacher", own)
    make_completions("teacher", teacher.policy, coming_again, store, settings.limited(), work)
    if not settings.keep_teacher_loaded:
        held_out = _keep_scores(work, teacher, held_out, coming_again, store)
        teacher.unload()
        policy, adapter = load_student(work, settings, load, vocab_size)
    student = student_of(policy, adapter, settings, settings.student_model)
    return Pair(settings, student, teacher, prompts.train, held_out, marks, store)


def _prepare_served(
    work: Work, settings: DistillationSettings, load: Load, encode: EncodeFor
) -> Pair:
    """Prepare a pair whose teacher lives elsewhere: nothing of it is loaded here."""
    student = LocalModel(settings.student_model, find_folder(settings.student_model))
    teacher, vocab_size = reach_teacher(work, settings, student)
    require_served(teacher, settings, BLOCK_OF_METHOD[work.config.method])
    policy, adapter = load_student(work, settings, load, vocab_size)
    warn_of_unstopped_turns(policy, work.reporter)
    prompts, settings = read_prompts(settings, lambda file: encode(policy, file), work.reporter)
    store = CompletionStore(work.run.path / COMPLETIONS_FILE)
    coming_again = first_epoch(settings, prompts.train) if uses_fixed_rollouts(settings) else []
    make_completions("student", policy, coming_again, store, settings.limited(), work)
    learner = student_of(policy, adapter, settings, settings.student_model)
    return Pair(settings, learner, teacher, prompts.train, prompts.held_out, (), store)


def prove_pair(work: Work, pair: Pair) -> None:
    """Prove learning on the first rows.

    Raises:
        ProofError: a claim does not hold.
    """
    rows = first_epoch(pair.settings, pair.prompts)[:PROBE_ROWS]
    prove_on(work, pair, rows, "teacher")


def prove_on(work: Work, pair: Pair, rows: list[Row], scorer: str) -> None:
    """Prove on rows that the student samples now, or on those that come again.

    `scorer` is what the teacher is called.

    Raises:
        ProofError: a claim does not hold.
    """
    settings, student = pair.settings, pair.student
    work.reporter.phase("self_test", f"Proving that {scorer}, gradients and adapter are real.")
    if uses_fixed_rollouts(settings):
        batch = MicroBatch([], [pair.store.get(row) for row in rows])
        is_own = all(row.source == "student" for row in rows)
    else:
        sampled = complete_rows(student.policy, rows, settings.limited(), work.hooks)
        batch = MicroBatch(sampled, [])
        is_own = True
    prove(work, settings, student, pair.teacher, batch, is_own and settings.samples_policy)


def compare_folders(student: str, teacher: str, action: str = ANOTHER_PAIR) -> int:
    """Make sure from files alone that both models speak the same tokens; how many they share.

    Raises:
        PairError: they do not; `action` is what can be done about it.
    """
    learner, scorer = (LocalModel(name, find_folder(name)) for name in (student, teacher))
    return shared_vocab_size(learner, scorer, action)


def load_student(
    work: Work, settings: DistillationSettings, load: Load, vocab_size: int
) -> tuple[Policy, AttachedAdapter]:
    """Load who learns, its words cut to the shared vocabulary, and put its adapter on."""
    work.reporter.phase("loading", f"Loading the student {settings.student_model}.")
    policy = replace(load(settings.student_model), vocab_size=vocab_size)
    return put_adapter_on(policy, settings, work.reporter)


def _load_teacher(
    work: Work, settings: DistillationSettings, load: Load, vocab_size: int
) -> Teacher:
    """Load what scores, its words cut to the shared vocabulary."""
    worn = settings.teacher_adapter
    wearing = "" if worn is None else f" with the adapter {worn}"
    work.reporter.phase("loading", f"Loading the teacher {settings.teacher_model}{wearing}.")
    if settings.teacher_shards > 1:
        return _load_sharded(work, settings, vocab_size)
    policy = replace(load(settings.teacher_model), vocab_size=vocab_size)
    cache = TeacherCache(settings.teacher_cache_size_mb * 1_000_000)
    return Teacher(dressed(policy, worn), cache, form_of(settings, vocab_size))


def dressed(policy: Policy, adapter: str | None) -> Policy:
    """A teacher's policy with the adapter that it wears, frozen."""
    if adapter is None:
        return policy
    policy, _ = load_adapter(policy, Path(adapter))
    policy.model.freeze()
    return policy


def form_of(settings: DistillationSettings, vocab_size: int) -> TargetForm:
    """The form that the run learns from, of so many tokens."""
    top_k = min(settings.top_k, vocab_size)
    return TargetForm(settings.teacher_targets, top_k, settings.temperature)


def _load_sharded(work: Work, settings: DistillationSettings, vocab_size: int) -> ShardedTeacher:
    """Load this rank's shard; from then on the ranks rest whenever one may have asked it."""
    name, num_shards = settings.teacher_model, settings.teacher_shards
    shard = load_shard(name, settings.mixed_precision, num_shards, work.ranks)
    policy = replace(shard, vocab_size=vocab_size)
    cache = TeacherCache(settings.teacher_cache_size_mb * 1_000_000)
    teacher = ShardedTeacher(policy, cache, form_of(settings, vocab_size), work.ranks)
    work.rest = teacher.rest
    return teacher


def _keep_scores(
    work: Work, teacher: Teacher, held_out: HeldOut, rows: Sequence[Row], store: CompletionStore
) -> HeldOut:
    """Score whatever will be asked for into the cache, before the teacher is unloaded.

    Returns the held-out set with the teacher's own completions, on which the student is measured
    from then on.

    Raises:
        RunError: the cache is too small.
    """
    rollouts = [store.get(row) for row in rows]

    def progress(done: int) -> None:
        work.reporter.phase("scoring", "Scores for the cache.", done, len(rollouts))

    own = complete(teacher.policy, held_out, SamplingSettings(), work.hooks)
    teacher.keep(own, EXACT)
    teacher.keep(rollouts[:PROBE_ROWS], EXACT)
    teacher.keep(rollouts, progress=progress)
    return replace(held_out, fixed=tuple(own))
