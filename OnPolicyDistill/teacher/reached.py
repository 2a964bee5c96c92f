"""A served teacher before it scores: which tokens it speaks, and its head where it is exact.

The tokens are compared on known rows: ids from all over the student's vocabulary are sent to be
scored, and the server says which text each of them is. That asks for nothing but what it will be
asked for in every step.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from OnPolicyDistill.arrays import load_tensors
from OnPolicyDistill.datasets.tokenizer_files import TokenizerFiles, load_tokenizer_files
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.planning.pair import PairFinding, PairReport, PairVerdict
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.settings.endpoint import TeacherEndpoint
from OnPolicyDistill.teacher.asking import Asking, RefusedError, wait
from OnPolicyDistill.teacher.heads import HeadError, pack_head, unpack_head
from OnPolicyDistill.teacher.packed import AnswerError
from OnPolicyDistill.teacher.wire import PATHS, Position, Wanted, question, read_positions

ABOUT_PATH, HEAD_PATH = "/v1/teacher", "/v1/teacher/head"
CHECKED_IDS = 512
IDS_PER_ROW = 64
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
# What tokenizers write for the space in front of a word, or leave out where it stands alone.
SPACES = " \N{LATIN CAPITAL LETTER G WITH DOT ABOVE}\N{LOWER ONE EIGHTH BLOCK}"


class ServedTeacher(BaseModel):
    """What our own server says of its teacher."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str
    fingerprint: str = Field(description="Changes with weights, quantization and tokenizer.")
    vocab_size: int = Field(ge=1, description="Real size of its tokenizer: largest id plus one.")
    max_row_tokens: int = Field(ge=1, description="Longest prompt with its completion.")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A `Speaker` behind HTTP; `about` is what our own server says of it, None for others."""

    asking: Asking
    endpoint: TeacherEndpoint
    about: ServedTeacher | None

    @property
    def name(self) -> str:
        """Model and address."""
        return f"{self.endpoint.model} at {self.endpoint.base}"

    def compare_tokens(self, student: Path) -> PairReport:
        """Send known rows and compare the texts that come back.

        Raises:
            ModelError: the student's files cannot be read.
            RunError: the server does not answer.
        """
        files = load_tokenizer_files(student)
        num_theirs = files.vocab_size if self.about is None else self.about.vocab_size
        shared = min(files.vocab_size, num_theirs)
        ids = _spread([token for token in sorted(files.strings) if token < shared])
        try:
            texts = self._texts_of(ids)
        except RefusedError as error:
            if error.status != 400:
                raise
            return self._report(student, "mismatch", error.message, 0)
        verdict, summary = _compared(files, ids, texts)
        return self._report(student, verdict, summary, shared)

    def _texts_of(self, ids: Sequence[int]) -> list[str | None]:
        rows = [
            Rollout(0, (ids[0],), tuple(ids[start : start + IDS_PER_ROW]), (), "length")
            for start in range(0, len(ids), IDS_PER_ROW)
        ]
        # Our own server answers vLLM's request as well.
        server = "vllm" if self.endpoint.server == "opd" else self.endpoint.server
        wanted = Wanted(str(self.endpoint.model), server, 0, top_k=1)
        tokens = [row.token_ids for row in rows]

        def read(answer: JsonValue) -> list[list[Position]]:
            return read_positions(answer, tokens, server)

        told = wait(self.asking.ask(PATHS[server], question(rows, wanted), read))
        return [position.text for positions in told for position in positions[1:]]

    def _report(self, student: Path, verdict: PairVerdict, summary: str, shared: int) -> PairReport:
        return PairReport(
            student=student.name,
            teacher=self.name,
            basis="rows",
            verdict=verdict,
            summary=summary,
            findings=(PairFinding(code="tokenizer", verdict=verdict, message=summary),),
            shared_vocab_size=shared or None,
            student_opening="",
            teacher_opening="",
        )


def read_about(asking: Asking, endpoint: TeacherEndpoint) -> ServedTeacher | None:
    """What our own server says of its teacher; other servers are not asked.

    Raises:
        RunError: it does not answer, or serves another teacher than the settings name.
    """
    if not endpoint.is_exact:
        return None

    def read(content: bytes) -> ServedTeacher:
        try:
            return ServedTeacher.model_validate_json(content)
        except ValidationError as error:
            raise AnswerError("says nothing of a teacher") from error

    about = asking.fetch(ABOUT_PATH, read)
    if about.name != endpoint.model:
        raise RunError(
            f"The server at {endpoint.base} serves {about.name}, not {endpoint.model}.",
            f"Set teacher_endpoint.model to {about.name}, or start another server.",
        )
    return about


def fetch_head(asking: Asking, vocab_size: int) -> VocabularyHead:
    """The served teacher's vocabulary head, cut to the tokens that the student has too.

    Raises:
        RunError: the server does not answer, or with something else.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "head.safetensors"
        asking.fetch(HEAD_PATH, file.write_bytes)
        return load_head(file, vocab_size)


def save_head(head: VocabularyHead, file: Path) -> None:
    """Write a head as `load_head` reads it."""
    arrays, told = pack_head(head)
    mx.save_safetensors(str(file), arrays, told)


def load_head(file: Path, vocab_size: int) -> VocabularyHead:
    """Read a head that a server sent.

    Raises:
        RunError: the file is no head of so many tokens.
    """
    try:
        return unpack_head(*load_tensors(str(file)), vocab_size)
    except HeadError as error:
        raise _no_head(str(error)) from error
    except RuntimeError as error:
        raise _no_head("what it sent as the teacher's vocabulary head is damaged") from error


def _no_head(what: str) -> RunError:
    return RunError(f"The served teacher cannot be used: {what}.", "Start its server again.")


def _spread(ids: Sequence[int]) -> list[int]:
    """At most CHECKED_IDS of the ids, evenly, with the first and the last."""
    if len(ids) <= CHECKED_IDS:
        return list(ids)
    last = len(ids) - 1
    return sorted({ids[round(n * last / (CHECKED_IDS - 1))] for n in range(CHECKED_IDS)})


def _compared(
    files: TokenizerFiles, ids: Sequence[int], texts: Sequence[str | None]
) -> tuple[PairVerdict, str]:
    own = [files.tokenizer.decode([token], skip_special_tokens=False) for token in ids]
    told = [
        (token, mine, theirs)
        for token, mine, theirs in zip(ids, own, texts, strict=True)
        if theirs is not None and mine and UNREADABLE not in mine and UNREADABLE not in theirs
    ]
    if not told:
        return "mismatch", "The server does not say which texts its tokens are."
    wrong = [found for found in told if found[1].strip(SPACES) != found[2].strip(SPACES)]
    if not wrong:
        return "ok", f"{len(told)} known tokens mean the same text to both."
    token, mine, theirs = wrong[0]
    return (
        "mismatch",
        f"{len(wrong)} of {len(told)} known tokens mean different texts; the first is {token}: "
        f"{mine!r} for the student, {theirs!r} for the teacher.",
    )
