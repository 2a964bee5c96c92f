"""`opd generate`: a completion as it is written, beside the base and the teacher if asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    print_json,
    print_note,
    print_text,
)
from OnPolicyDistill.cli.run_lines import typed
from OnPolicyDistill.cli.runs import open_run
from OnPolicyDistill.errors import InputError

if TYPE_CHECKING:
    from OnPolicyDistill.datasets.picture_prompts import Pictured
    from OnPolicyDistill.generation.sampling import SamplingSettings
    from OnPolicyDistill.models.policy import Policy
    from OnPolicyDistill.runs.directory import RunDirectory
    from OnPolicyDistill.settings.sight import SightSettings


@dataclass(frozen=True, slots=True)
class Cast:
    """Which models complete the prompt; `adapter` belongs to the student.

    `teacher_adapter` is what the teacher of a run wears. `sight` is how large a run read pictures;
    without it the student's folder says so.
    """

    student: str | None
    adapter: Path | None
    teacher: str | None
    sight: SightSettings | None = None
    teacher_adapter: Path | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One prompt and how it is completed; the same for every model."""

    prompt: Pictured
    max_tokens: int
    seed: int
    sampling: SamplingSettings


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion with what it took; `mean_logprob` in nats a token.

    `num_picture_tokens` of the `num_prompt_tokens` are places of pictures.
    """

    role: str
    model: str
    text: str
    finish_reason: str
    num_prompt_tokens: int
    num_picture_tokens: int
    num_tokens: int
    mean_logprob: float
    tokens_per_second: float


def generate(
    *,
    model: Annotated[str | None, typer.Option(help="Alias, hub id or folder.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Folder of an adapter.")] = None,
    run: Annotated[
        str | None, typer.Option(help="Take model, best adapter and teacher from this run.")
    ] = None,
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="What to ask; - reads standard input.")
    ] = "-",
    image: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A picture to look at, once for each; they stand before the prompt, or where it "
            "says <image>.",
        ),
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Show base, student and teacher, same seed.")
    ] = False,
    teacher: Annotated[str | None, typer.Option(help="The teacher, for --compare.")] = None,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the best token.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0, max=1, help="1 leaves nothing out.")] = 1.0,
    top_k: Annotated[int, typer.Option(min=0, help="0 leaves nothing out.")] = 0,
    min_p: Annotated[float, typer.Option(min=0, max=1, help="0 leaves nothing out.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest completion.")] = 512,
    seed: Annotated[int, typer.Option(min=0, help="Where randomness starts.")] = 0,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Complete a prompt and show it as it is written."""
    roles = Cast(model, adapter, teacher)
    if run is not None:
        roles = roles_of(roles, open_run(run, workspace))
    if roles.student is None:
        raise InputError("No model is named.", "Give --model or --run.")
    if compare and roles.teacher is None and roles.adapter is None:
        raise InputError("There is nothing to compare.", "Give --teacher, --adapter or --run.")
    if top_p == 0:
        raise InputError("top-p must be above 0.", "1 leaves nothing out.")
    text = _read_prompt(prompt)
    pictured = _pictured(text, image or [])
    load_mlx()
    from OnPolicyDistill.generation.sampling import SamplingSettings

    _refuse_blind(roles, pictured, compare)
    ask = Ask(pictured, max_tokens, seed, SamplingSettings(temperature, top_p, top_k, min_p))
    answers = []
    for answer in _compared(roles, ask, json) if compare else _alone(roles, ask, json):
        answers.append(answer)
        if not json:
            print_note(_figures(answer))
    if json:
        named = {"images": [str(file) for file in image]} if image else {}
        completions = [asdict(answer) for answer in answers]
        print_json({"prompt": text, **named, "completions": completions})


def roles_of(named: Cast, run: RunDirectory) -> Cast:
    """Take from a run what is not named: its student, its best adapter, its teacher.

    Raises:
        InputError: the run has no checkpoint yet, or none that is an adapter.
    """
    from OnPolicyDistill.adapters.facts import base_model
    from OnPolicyDistill.config import settings_of
    from OnPolicyDistill.methods import FACTS, teacher_to_ask
    from OnPolicyDistill.runs.called import called
    from OnPolicyDistill.runs.checkpoints import exported
    from OnPolicyDistill.settings.sight import sight_of

    config = run.config()
    if FACTS[config.method].grafts:
        raise InputError(
            f"Run {called(run)} trains a projector, which answers only in its grafted model.",
            f"Write that: opd export {typed(run)} --out FOLDER. Then give --model FOLDER.",
        )
    adapter = named.adapter or exported(run)
    if adapter is None:
        raise InputError(f"Run {called(run)} has no checkpoint yet.", "Let it take some steps.")
    settings = settings_of(config)
    teacher = teacher_to_ask(settings)
    student = named.student or base_model(config)
    # Not every method has a teacher that wears one; another teacher than the run's wears none.
    worn = None if named.teacher else settings.model_dump().get("teacher_adapter")
    teacher_adapter = None if worn is None else Path(worn)
    return Cast(student, adapter, named.teacher or teacher, sight_of(settings), teacher_adapter)


def _figures(answer: Answer) -> str:
    seen = answer.num_picture_tokens
    read = f"{answer.num_prompt_tokens} read, {seen} of them pictures, " if seen else ""
    return (
        f"[{answer.num_tokens} tokens, {read}{answer.tokens_per_second:.1f} a second, "
        f"mean logprob {answer.mean_logprob:.3f}, ended by {answer.finish_reason}]"
    )


def _read_prompt(prompt: str) -> str:
    text = prompt
    if prompt == "-":
        if sys.stdin.isatty():
            print_note("Type the prompt and end it with Ctrl-D.")
        text = _decoded(sys.stdin.buffer.read())
    if not text.strip():
        raise InputError("The prompt is empty.", 'Give --prompt "..." or pipe it in.')
    return text.removesuffix("\n")


def _decoded(piped: bytes) -> str:
    """What was piped in, as text.

    Raises:
        InputError: it is no UTF-8.
    """
    try:
        return piped.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"What is piped in is no UTF-8 text (byte {error.start + 1} is "
            f"0x{piped[error.start]:02x}).",
            "Convert it first, for example with iconv -f latin1 -t utf-8.",
        ) from error


def _pictured(text: str, files: Sequence[Path]) -> Pictured:
    """The user's message, with a place for each picture.

    Raises:
        InputError: a file is not there, or the prompt has places for more or fewer pictures.
    """
    from OnPolicyDistill.datasets.picture_prompts import MARKER, lost_picture, place_pictures
    from OnPolicyDistill.datasets.records import BadLine, Record

    files = [file.expanduser() for file in files]
    for file in files:
        if "://" in str(file).replace(":/", "://", 1) and not file.exists():
            raise InputError(f"{file} is no file.", "Nothing is downloaded: give a picture's file.")
        if file.is_dir():
            raise InputError(f"{file} is a folder.", "Name the file of a picture.")
        if not file.is_file():
            raise InputError(f"There is no picture {file}.", "Check the path.")
    num_marks = text.count(MARKER)
    if files and num_marks not in (0, len(files)):
        message = f"The prompt has {num_marks} places for a picture, {MARKER}, for {len(files)}."
        raise InputError(message, "Give each picture one place, or none and they come first.")
    if not files and lost_picture(text):
        message = f"The prompt has a place for a picture, {MARKER}, and only words are read."
        raise InputError(message, "Name the picture with --image, or take its place out.")
    named = Record(1, {"images": [str(file.resolve()) for file in files]})
    placed = place_pictures(named, [{"role": "user", "content": text}])
    if isinstance(placed, BadLine):
        raise InputError(placed.message, placed.fix)
    return placed


def _alone(roles: Cast, ask: Ask, quiet: bool) -> Iterator[Answer]:
    yield _answer(_student(roles), "student", ask, quiet)


def _compared(roles: Cast, ask: Ask, quiet: bool) -> Iterator[Answer]:
    """Base, student and teacher; the student's weights are loaded once and left for the teacher."""
    from OnPolicyDistill.adapters.lora import adapter_disabled
    from OnPolicyDistill.models.loading import unload

    student = _student(roles)
    turns = ["student"] if roles.adapter is None else ["base", "student"]
    for role in turns:
        _announce(role, student.name, quiet)
        with adapter_disabled(student.model) if role == "base" else nullcontext():
            answer = _answer(student, role, ask, quiet)
        yield answer
    if roles.teacher is not None:
        unload(student)
        worn = "" if roles.teacher_adapter is None else " with an adapter"
        _announce("teacher", f"{roles.teacher}{worn}", quiet)
        yield _answer(_worn(roles.teacher, roles.teacher_adapter, roles), "teacher", ask, quiet)


def _announce(role: str, name: str, quiet: bool) -> None:
    if not quiet:
        print_text(f"--- {role}: {name}")


def _student(roles: Cast) -> Policy:
    assert roles.student is not None
    return _worn(roles.student, roles.adapter, roles)


def _worn(model: str, adapter: Path | None, roles: Cast) -> Policy:
    """A model with the adapter that it wears, if any."""
    from OnPolicyDistill.adapters.files import load_adapter
    from OnPolicyDistill.models.loading import load_policy

    policy = load_policy(model, sight=_sight(roles))
    return policy if adapter is None else load_adapter(policy, adapter)[0]


def _refuse_blind(roles: Cast, prompt: Pictured, compare: bool) -> None:
    from OnPolicyDistill.models.picture_prompts import refuse_blind

    asked = (roles.student, roles.teacher if compare else None)
    refuse_blind((name for name in asked if name is not None), prompt.pictures)


def _sight(roles: Cast) -> SightSettings:
    """How large all of them read pictures: as the run did, else as the student's folder says."""
    from OnPolicyDistill.planning.sight import own_limits

    assert roles.student is not None
    return roles.sight or own_limits(roles.student)


def _answer(policy: Policy, role: str, ask: Ask, quiet: bool) -> Answer:
    """Complete the prompt; unless `quiet`, print the text as it comes."""
    from OnPolicyDistill.generation.loop import stream
    from OnPolicyDistill.generation.request import GenerationRequest
    from OnPolicyDistill.models.picture_prompts import count_places, encode_seen

    ids = encode_seen(policy, ask.prompt.messages, ask.prompt.pictures)
    request = GenerationRequest(
        [ids], [ask.seed], policy.stop_ids, policy.vocab_size, ask.max_tokens, ask.sampling
    )
    written = policy.tokenizer.detokenizer
    logprobs: list[float] = []
    reason = ""
    started = time.perf_counter()
    for token in stream(policy.model, request):
        logprobs.append(token.logprob)
        reason = token.finish_reason or ""
        if token.id not in policy.stop_ids:
            written.add_token(token.id)
        if not quiet:
            typer.echo(written.last_segment, nl=False)
    written.finalize()
    if not quiet:
        typer.echo(written.last_segment)
    seconds = time.perf_counter() - started
    num_tokens = len(logprobs)
    return Answer(
        role=role,
        model=policy.name,
        text=written.text,
        finish_reason=reason,
        num_prompt_tokens=len(ids),
        num_picture_tokens=count_places(ids),
        num_tokens=num_tokens,
        mean_logprob=sum(logprobs) / num_tokens,
        tokens_per_second=num_tokens / seconds,
    )
