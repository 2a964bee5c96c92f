"""What can be asked behind the door: each question with its answer and its limits.

A question is everything that its answer depends on; answering reads model folders and data files
and nothing else, and writes only the data files that a question names to be made. Nothing of the
web is imported here, since every child of the door has it loaded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from backend.door.apart_questions import SeparateQuestion, SplitQuestion
from backend.door.asked import FILE_LIMITS, Asked, Limits
from backend.prompt_sets.lint import preview, ruler_of_folder
from backend.prompt_sets.views import PreviewPage
from OnPolicyDistill.adapters.card import write_card
from OnPolicyDistill.adapters.facts import facts_of_run
from OnPolicyDistill.adapters.forms import peft_obstacle
from OnPolicyDistill.adapters.gguf_support import gguf_obstacle
from OnPolicyDistill.adapters.next_steps import Written, next_steps
from OnPolicyDistill.config import RunConfig, parse_config
from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.input_linter import lint_inputs
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.linter import LintReport, lint_prompts
from OnPolicyDistill.datasets.tokenizer_files import TokenizerFiles, load_tokenizer_files
from OnPolicyDistill.errors import DistillError, ModelError
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.planning.check_report import CheckReport
from OnPolicyDistill.planning.checks import NO_PROMPTS
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.choices import Choices, forecast_choices
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.planning.pair import PairReport, check_pair_by_name
from OnPolicyDistill.planning.pairs import PairMap, map_pairs
from OnPolicyDistill.planning.plan import Plan, plan_run
from OnPolicyDistill.planning.precision import precision_of_folder
from OnPolicyDistill.planning.saved_adapters import WEIGHTS_FILE
from OnPolicyDistill.planning.sides import side_from_files
from OnPolicyDistill.planning.workload import make_workload
from OnPolicyDistill.registry import Thinking
from OnPolicyDistill.runs.directory import RunDirectory


class FolderFacts(BaseModel):
    """What a model's folder says about itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    bits: int
    precision: str
    parameters: int
    loaded_bytes: int
    logit_width: int
    vocab_size: int
    tokens: str
    thinking: Thinking | None
    vision: bool
    has_template: bool
    gguf_obstacle: str | None


class FolderQuestion(Asked):
    """What is in a model's folder?"""

    kind: Literal["folder"] = "folder"
    folder: Path

    @property
    def subject(self) -> str:
        """What is read."""
        return str(self.folder)

    def answer(self) -> FolderFacts:
        """Read config, headers, tokenizer and template.

        Raises:
            ModelError: a file is missing or damaged.
        """
        facts = describe_model(str(self.folder))
        stored = precision_of_folder(self.folder)
        files = load_tokenizer_files(self.folder)
        thinking = _thinking(files)
        return FolderFacts(
            family=facts.dimensions.model_type,
            bits=stored.bits,
            precision=stored.words,
            parameters=facts.num_parameters,
            loaded_bytes=facts.loaded_bytes,
            logit_width=facts.dimensions.logit_width,
            vocab_size=files.vocab_size,
            tokens=_digest(files),
            thinking=thinking,
            vision=facts.dimensions.vision is not None,
            has_template=thinking is not None,
            gguf_obstacle=gguf_obstacle(self.folder),
        )


class PlanQuestion(Asked):
    """What does a run need, and how long does it take?"""

    kind: Literal["plan"] = "plan"
    config: dict[str, JsonValue]
    memory_gb: float | None = None
    chip: str | None = None
    workspace: Path

    limits: ClassVar[Limits] = FILE_LIMITS

    @property
    def subject(self) -> str:
        """What is read."""
        return "The run's models or files"

    def answer(self) -> Plan:
        """Forecast it.

        Raises:
            DistillError: a setting, a model or a file cannot be used.
        """
        return plan_run(parse_config(self.config), self.memory_gb, self.chip, self.workspace)


class CheckQuestion(Asked):
    """Would a run be refused?"""

    kind: Literal["check"] = "check"
    config: dict[str, JsonValue]
    workspace: Path

    limits: ClassVar[Limits] = FILE_LIMITS

    @property
    def subject(self) -> str:
        """What is read."""
        return "The run's models or files"

    def answer(self) -> CheckReport:
        """Check it.

        Raises:
            ConfigError: a setting is wrong.
        """
        return check_run(parse_config(self.config), self.workspace)


class PairQuestion(Asked):
    """Do two models speak the same tokens?"""

    kind: Literal["pair"] = "pair"
    student: str
    teacher: str

    @property
    def subject(self) -> str:
        """What is read."""
        return f"{self.student} or {self.teacher}"

    def answer(self) -> PairReport:
        """Compare them.

        Raises:
            ModelError: one is unknown or damaged.
        """
        return check_pair_by_name(self.student, self.teacher)


class ChoicesQuestion(Asked):
    """What would a run need with each of these models under a key of its block?"""

    kind: Literal["choices"] = "choices"
    config: dict[str, JsonValue]
    key: str
    names: tuple[str, ...]
    workspace: Path

    limits: ClassVar[Limits] = FILE_LIMITS

    @property
    def subject(self) -> str:
        """What is read."""
        return "A model or the run's files"

    def answer(self) -> Choices:
        """Forecast each.

        Raises:
            ConfigError: a setting is wrong.
        """
        return forecast_choices(parse_config(self.config), self.key, self.names, self.workspace)


class MapQuestion(Asked):
    """Which pairs of known models fit at which lengths, and how long do they take?"""

    kind: Literal["map"] = "map"
    config: dict[str, JsonValue]
    lengths: tuple[int, ...]
    here: tuple[str, ...]
    memory_gb: float | None = None
    workspace: Path

    limits: ClassVar[Limits] = FILE_LIMITS

    @property
    def subject(self) -> str:
        """What is read."""
        return "A model or the run's files"

    def answer(self) -> PairMap:
        """Look at every pair.

        Raises:
            DistillError: a setting or a file cannot be used.
        """
        config, here = parse_config(self.config), frozenset(self.here)
        return map_pairs(config, self.lengths, here, self.memory_gb, self.workspace)


class LintQuestion(Asked):
    """What is wrong with a file, measured as the model in `folder` would, else in characters."""

    kind: Literal["lint"] = "lint"
    file: Path
    set_kind: SetKind
    other: Path | None = None
    folder: Path | None = None
    max_prompt_tokens: int = 2048

    limits: ClassVar[Limits] = FILE_LIMITS

    @property
    def subject(self) -> str:
        """What is read."""
        return str(self.file) if self.folder is None else f"{self.file} or {self.folder}"

    def answer(self) -> LintReport:
        """Lint it.

        Raises:
            DatasetError: a file cannot be read.
            ModelError: the model's tokenizer or template is damaged.
        """
        ruler = ruler_of_folder(self.folder, self.max_prompt_tokens)
        if self.set_kind == "conversations":
            return lint_conversations(self.file, self.other, ruler)
        if self.set_kind in ("inputs", "text"):
            return lint_inputs(self.file, self.other, ruler)
        return lint_prompts(self.file, self.other, ruler)


class PreviewQuestion(Asked):
    """How do lines of a file look, also as the model in a folder would see them?"""

    kind: Literal["preview"] = "preview"
    file: Path
    set_kind: SetKind
    folder: Path | None
    offset: int
    limit: int

    limits: ClassVar[Limits] = FILE_LIMITS

    @property
    def subject(self) -> str:
        """What is read."""
        return str(self.file)

    def answer(self) -> PreviewPage:
        """Read and render them.

        Raises:
            DatasetError: the file cannot be read.
            ModelError: the template does not come to an end.
        """
        ruler = ruler_of_folder(self.folder)
        return preview(self.file, self.set_kind, ruler, self.offset, self.limit)


class CheckpointFacts(BaseModel):
    """A checkpoint as it leaves: its card, what PEFT cannot say, and a grafted model's size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    card: str
    peft_obstacle: str | None
    graft_bytes: int | None = None
    graft_parameters: int | None = None
    graft_obstacle: str | None = None


class CheckpointQuestion(Asked):
    """What can be made of a checkpoint of a run, beside what its base model decides?"""

    kind: Literal["checkpoint"] = "checkpoint"
    run: Path
    step: int
    base: Path | None

    @property
    def subject(self) -> str:
        """What is read."""
        return f"The run {self.run.name} or its model"

    def answer(self) -> CheckpointFacts:
        """Read the run, the checkpoint's headers and what its models are.

        Raises:
            RunError: the run's log cannot be read.
        """
        run = RunDirectory(self.run)
        checkpoint = run.checkpoints / f"{self.step:06d}"
        facts = facts_of_run(run, self.step)
        written = Written("adapter", path="FOLDER", base=facts.base_model, name="", family="")
        told = CheckpointFacts(
            card=write_card(replace(facts, usage=next_steps(written))),
            peft_obstacle=_peft_obstacle(checkpoint / WEIGHTS_FILE, self.base),
        )
        config = run.config()
        return told.model_copy(update=_graft(config)) if FACTS[config.method].grafts else told


Question = Annotated[
    FolderQuestion
    | PlanQuestion
    | CheckQuestion
    | PairQuestion
    | ChoicesQuestion
    | MapQuestion
    | LintQuestion
    | PreviewQuestion
    | SeparateQuestion
    | SplitQuestion
    | CheckpointQuestion,
    Field(discriminator="kind"),
]
QUESTION: TypeAdapter[Question] = TypeAdapter(Question)


def _thinking(files: TokenizerFiles) -> Thinking | None:
    """Whether a model thinks, by its template; None where it has none that can be used."""
    try:
        return side_from_files(files).thinking
    except DistillError:
        return None


def _digest(files: TokenizerFiles) -> str:
    """The same for models whose ids mean the same texts."""
    texts = json.dumps(sorted(files.strings.items()))
    return hashlib.sha256(texts.encode()).hexdigest()[:16]


def _peft_obstacle(weights: Path, base: Path | None) -> str | None:
    try:
        return peft_obstacle(weights, base)
    except ModelError as error:
        return f"{error.message} {error.action}"


def _graft(config: RunConfig) -> dict[str, int | str]:
    try:
        facts = make_workload(config, NO_PROMPTS, num_held_out=0).student
    except ModelError as error:
        return {"graft_obstacle": f"{error.message} {error.action}"}
    return {"graft_bytes": facts.loaded_bytes, "graft_parameters": facts.num_parameters}
