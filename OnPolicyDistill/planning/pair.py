"""Whether student and teacher speak the same tokens, said in words, from their files alone.

Where a model is not on this machine, the registry's facts give a coarser answer that says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.datasets.tokenizer_files import TokenizerFiles, load_tokenizer_files
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.sides import Side, side_from_files, side_from_registry
from OnPolicyDistill.registry import KnownModel, find_model, local_folder, propose_model

PairVerdict = Literal["ok", "warning", "mismatch"]
PairCode = Literal[
    "tokenizer",
    "vocabulary",
    "end_tokens",
    "template",
    "thinking",
    "logits",
    "quantization",
    "same_model",
]

MAX_EXAMPLES = 5
RANKS: tuple[PairVerdict, ...] = ("ok", "warning", "mismatch")


class PairFinding(BaseModel):
    """One thing that was compared, and what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    code: PairCode
    verdict: PairVerdict
    message: str


class PairReport(BaseModel):
    """What was found about a pair; `summary` is the most important finding."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    student: str
    teacher: str
    basis: Literal["files", "registry", "rows"] = Field(
        description="registry: a model is not on this machine, so only known facts were compared. "
        "rows: the teacher is served elsewhere and said what tokens of known rows mean."
    )
    verdict: PairVerdict
    summary: str
    findings: tuple[PairFinding, ...]
    num_differing_ids: int = 0
    differing_examples: tuple[str, ...] = ()
    shared_vocab_size: int | None = Field(None, description="Tokens that both models have.")
    student_opening: str = Field(description="What opens the student's answer.")
    teacher_opening: str = Field(description="What opens the teacher's answer.")


def check_pair(student_folder: Path, teacher_folder: Path) -> PairReport:
    """Compare two model folders: tokens, end tokens, templates, thinking, logits, quantization.

    Raises:
        ModelError: a folder lacks a file or has a damaged one.
    """
    student, teacher = load_tokenizer_files(student_folder), load_tokenizer_files(teacher_folder)
    differing = _differing_ids(student, teacher)
    findings = list(_compare_tokens(student, teacher, differing))
    if student_folder.resolve() == teacher_folder.resolve():
        findings.append(_same_model())
    sides = side_from_files(student), side_from_files(teacher)
    report = _report(sides, findings, "files")
    examples = tuple(
        f"{i}: {student.strings[i]!r} / {teacher.strings[i]!r}" for i in differing[:MAX_EXAMPLES]
    )
    return report.model_copy(
        update={
            "num_differing_ids": len(differing),
            "differing_examples": examples,
            "shared_vocab_size": min(student.vocab_size, teacher.vocab_size),
        }
    )


def check_pair_by_name(student: str, teacher: str) -> PairReport:
    """Compare two models by folder, alias or hub id, as exactly as what is here allows.

    Raises:
        ModelError: a model is unknown and not on this machine, or its files are damaged.
    """
    student_folder, teacher_folder = local_folder(student), local_folder(teacher)
    if student_folder is None or teacher_folder is None:
        return check_known_pair(_known(student, teacher), _known(teacher, student))
    report = check_pair(student_folder, teacher_folder)
    return report.model_copy(update={"student": student, "teacher": teacher})


def check_known_pair(student: KnownModel, teacher: KnownModel) -> PairReport:
    """Compare the registry's facts about two models."""
    sizes = [size for size in (student.chat.vocab_size, teacher.chat.vocab_size) if size]
    findings = list(_compare_known_tokens(student, teacher))
    if student == teacher:
        findings.append(_same_model())
    report = _report(
        (side_from_registry(student), side_from_registry(teacher)), findings, "registry"
    )
    return report.model_copy(update={"shared_vocab_size": min(sizes, default=None)})


def _known(name: str, other: str) -> KnownModel:
    """Facts of a model of a pair of which `other`, or it, is not on this machine."""
    known = find_model(name)
    if known is None and local_folder(name) is not None:
        raise ModelError(
            f"{other} is not on this machine, and the registry does not know {name}, so the two "
            "cannot be compared yet.",
            f"Download {other} first.",
        )
    if known is None:
        raise ModelError(
            f"{name} is not on this machine and not in the registry, so it cannot be checked.",
            f"{propose_model(name)}Download it, or give a folder.",
        )
    return known


def _report(
    sides: tuple[Side, Side],
    token_findings: list[PairFinding],
    basis: Literal["files", "registry"],
) -> PairReport:
    student, teacher = sides
    findings = (*token_findings, *_compare_sides(student, teacher))
    worst = max(findings, key=lambda finding: RANKS.index(finding.verdict))
    fine = "Student and teacher speak the same tokens and the same template."
    if basis == "registry":
        fine = f"By the registry's facts: {fine[0].lower()}{fine[1:]}"
    return PairReport(
        student=student.name,
        teacher=teacher.name,
        basis=basis,
        verdict=worst.verdict,
        summary=fine if worst.verdict == "ok" else worst.message,
        findings=findings,
        student_opening=student.opening,
        teacher_opening=teacher.opening,
    )


def _differing_ids(student: TokenizerFiles, teacher: TokenizerFiles) -> list[int]:
    shared = student.strings.keys() & teacher.strings.keys()
    return sorted(i for i in shared if student.strings[i] != teacher.strings[i])


def _compare_tokens(
    student: TokenizerFiles, teacher: TokenizerFiles, differing: list[int]
) -> Iterator[PairFinding]:
    if differing:
        first = differing[0]
        yield _found(
            "tokenizer",
            "mismatch",
            f"{len(differing):,} token ids mean different texts; the first is {first}: "
            f"{student.strings[first]!r} for the student, {teacher.strings[first]!r} for the "
            "teacher.",
        )
        return
    yield _found("tokenizer", "ok", "Every token id that both have means the same text.")
    only = sorted(student.strings.keys() ^ teacher.strings.keys())
    if only:
        owner, holder = ("student", student) if only[0] in student.strings else ("teacher", teacher)
        yield _found(
            "vocabulary",
            "warning",
            f"{len(only)} tokens exist in one of the two only, such as "
            f"{holder.strings[only[0]]!r} of the {owner}; logits are compared on the "
            f"{min(student.vocab_size, teacher.vocab_size):,} shared ones.",
        )


def _compare_known_tokens(student: KnownModel, teacher: KnownModel) -> Iterator[PairFinding]:
    ours, theirs = student.chat.tokenizer, teacher.chat.tokenizer
    if ours == theirs:
        yield _found("tokenizer", "ok", f"Both have the tokenizer {ours}, by the registry.")
    elif {ours, theirs} == {"qwen2.5", "qwen3"}:
        yield _found("tokenizer", "ok", "Qwen3's tokenizer is Qwen2.5's with four more tokens.")
        message = "Four tokens such as <think> exist in Qwen3 only; they are left out."
        yield _found("vocabulary", "warning", message)
    else:
        message = f"The student has the tokenizer {ours}, the teacher {theirs}, by the registry."
        yield _found("tokenizer", "mismatch", message)


def _compare_sides(student: Side, teacher: Side) -> Iterator[PairFinding]:
    yield _compare_ends(student, teacher)
    yield _compare_thinking(student, teacher)
    if student.plain_opening == teacher.plain_opening:
        yield _found("template", "ok", "Both templates open the answer alike.")
    else:
        yield _found(
            "template",
            "warning",
            f"The templates open the answer differently: {student.opening!r} for the student, "
            f"{teacher.opening!r} for the teacher, who is given the student's.",
        )
    if student.logit_width != teacher.logit_width:
        message = (
            f"The student's logits are {student.logit_width:,} wide, the teacher's "
            f"{teacher.logit_width:,}; both are cut to the real vocabulary."
        )
        yield _found("logits", "ok", message)
    if teacher.bits < 16:
        message = (
            f"The teacher has {teacher.bits}-bit weights: a slightly different teacher than the "
            "original. Measure both on your prompts if it matters."
        )
        yield _found("quantization", "ok", message)


def _compare_ends(student: Side, teacher: Side) -> PairFinding:
    if not student.end_ids or not teacher.end_ids:
        message = "An end token is not named, so completions may never end."
        return _found("end_tokens", "warning", message)
    if teacher.turn_end is not None and teacher.turn_end not in student.end_ids:
        return _found(
            "end_tokens",
            "warning",
            f"The teacher ends its turn with {teacher.turn_end} ({teacher.turn_end_text}), at "
            f"which the student does not stop: it stops at {sorted(student.end_ids)}. "
            "Completions will run to their limit; fine-tune the student on conversations first, "
            "or take its instruct variant.",
        )
    # A student that does not stop at its template's end stops at any of its end tokens.
    stops = student.end_ids & {student.turn_end} or student.end_ids
    if stops.isdisjoint(teacher.end_ids):
        message = (
            f"The student stops at {sorted(stops)}, which the teacher does not know as an end."
        )
        return _found("end_tokens", "warning", message)
    return _found("end_tokens", "ok", "Both end their turns with tokens the other knows as ends.")


def _compare_thinking(student: Side, teacher: Side) -> PairFinding:
    if student.thinking == teacher.thinking:
        return _found("thinking", "ok", "Both think before they answer, or neither does.")
    words = {"never": "never thinks", "optional": "can think", "always": "always thinks"}
    message = (
        f"The student {words[student.thinking]} before it answers, the teacher "
        f"{words[teacher.thinking]}: the teacher grades text unlike its own."
    )
    return _found("thinking", "warning", message)


def _same_model() -> PairFinding:
    message = "Student and teacher are the same model: an equal teacher teaches nothing."
    return _found("same_model", "warning", message)


def _found(code: PairCode, verdict: PairVerdict, message: str) -> PairFinding:
    return PairFinding(code=code, verdict=verdict, message=message)
