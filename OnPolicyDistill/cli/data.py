"""`opd data`: look at prompts and conversations, check, convert and draw them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from OnPolicyDistill.cli.data_causal import baselines, causal, causal_published
from OnPolicyDistill.cli.output import JsonOption, print_json, print_note, print_text

if TYPE_CHECKING:
    from OnPolicyDistill.datasets.linter import LintReport, Ruler

app = typer.Typer(help="Look at prompt files and check them.", no_args_is_help=True)

app.command()(causal)
app.command("causal-published")(causal_published)
app.command()(baselines)

PICTURES_A_NOTE = 500

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="JSONL file.")]


@app.command()
def lint(
    file: FileArgument,
    other: Annotated[
        Path | None,
        typer.Option("--against", help="A second file; prompts that both have are reported."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="A model on this machine whose tokens are counted.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Check prompts, conversations or labelled items; ends with 2 when a line cannot be used."""
    from OnPolicyDistill.datasets.kinds import kind_of, lint_file
    from OnPolicyDistill.datasets.linter import Ruler
    from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT

    ruler = Ruler(sight=DEFAULT_SIGHT) if model is None else ruler_of(model)
    report = lint_file(file, other, ruler, tell_pictures)
    if json:
        print_json(report.model_dump(mode="json"))
    else:
        print_lint_report(report, {"text": "lines"}.get(kind_of(file), kind_of(file)))
    if report.verdict == "error":
        raise typer.Exit(2)


@app.command()
def show(
    file: FileArgument,
    limit: Annotated[int, typer.Option(min=1, help="How many prompts to show.")] = 5,
    model: Annotated[
        str | None, typer.Option(help="Render them through this model's chat template.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show the first prompts of a file, as they are or as a model would see them."""
    from OnPolicyDistill.datasets.prompts import load_prompts

    prompts = load_prompts(file, sees=True)
    ruler = None if model is None else ruler_of(model)
    for prompt in islice(prompts.prompts, limit):
        rendered = prompt.text if ruler is None else ruler.text_of(prompt)
        if json:
            print_json({"line": prompt.line, "text": rendered, "answer": prompt.answer})
            continue
        answer = "" if prompt.answer is None else f"\n[answer] {prompt.answer}"
        print_text(f"line {prompt.line}: {rendered}{answer}")
    print_note(f"{len(prompts)} prompts, {prompts.num_answers} of them with an answer.")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="JSONL file of conversations.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    to: Annotated[
        Literal["messages", "prompt_completion", "sharegpt"],
        typer.Option(help="What each line becomes."),
    ] = "messages",
) -> None:
    """Write a file of conversations in another form; every other key of a line is kept."""
    from OnPolicyDistill.datasets.conversion import convert_conversations

    num_lines = convert_conversations(source, target, to)
    print_note(f"Wrote {num_lines} conversations to {target}.")


@app.command()
def squares(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where to write it.")],
    *,
    train: Annotated[int, typer.Option(min=0, help="Prompts to train on.")] = 512,
    validation: Annotated[int, typer.Option(min=0, help="Prompts to choose settings by.")] = 100,
    held_out: Annotated[int, typer.Option(min=0, help="Prompts to report.")] = 200,
    seed: Annotated[int, typer.Option(help="Which ones are drawn.")] = 0,
    controls: Annotated[
        bool,
        typer.Option(
            "--controls", help="Also write what measures with blank and with wrong pictures."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Draw figures on squared paper: prompts with pictures, and answers to grade by.

    No picture is in two of the three files.
    """
    from OnPolicyDistill.datasets.squares import Split, write_squares

    sizes: dict[Split, int] = {"train": train, "validation": validation, "held_out": held_out}
    write_squares(out, sizes, seed, controls)
    if json:
        facts: dict[str, object] = {"folder": str(out), "train": train, "validation": validation}
        print_json(facts | {"held_out": held_out})
    else:
        print_note(f"Wrote {train}, {validation} and {held_out} prompts with pictures to {out}.")


def ruler_of(model: str) -> Ruler:
    """Measure prompts in a model's tokens, from its tokenizer files alone.

    Raises:
        ModelError: the model is not on this machine, or its files are broken.
    """
    from OnPolicyDistill.datasets.chat_template import ChatTemplate
    from OnPolicyDistill.datasets.linter import Ruler
    from OnPolicyDistill.datasets.sight_files import sight_of_folder
    from OnPolicyDistill.datasets.tokenizer_files import load_tokenizer_files
    from OnPolicyDistill.errors import ModelError
    from OnPolicyDistill.registry import local_folder

    folder = local_folder(model)
    if folder is None:
        raise ModelError(f"{model} is not on this machine.", "Get it: opd models download.")
    tokenizer, template = load_tokenizer_files(folder), ChatTemplate.load(folder)
    return Ruler(tokenizer, template, sight=sight_of_folder(folder))


def tell_pictures(num_pictures: int) -> None:
    """Say on standard error how far the linter has come with a set's pictures."""
    if num_pictures % PICTURES_A_NOTE == 0:
        print_note(f"{num_pictures:,} pictures looked at.")


def print_lint_report(report: LintReport, counted: str = "prompts") -> None:
    """Print findings as `file:line: what. what to do.` and a summary of what was counted."""
    for finding in report.findings:
        line = "" if finding.line is None else f":{finding.line}"
        print_text(f"{report.path}{line}: {finding.severity}: {finding.message} {finding.fix}")
    if report.num_unlisted:
        print_text(f"{report.path}: and {report.num_unlisted} findings more.")
    lengths = report.lengths
    print_text(
        f"{report.path}: {report.num_prompts} {counted}, {report.num_answers} answers, "
        f"{report.num_errors} errors, {report.num_warnings} warnings; "
        f"median {lengths.median} {lengths.unit}, longest {lengths.longest}."
    )
    pictures = report.pictures
    if pictures is not None:
        print_text(
            f"{report.path}: {pictures.num_pictures:,} pictures on {pictures.num_lines:,} lines, "
            f"{pictures.num_different:,} different, {pictures.num_broken:,} broken; "
            f"median {pictures.median_tokens:,} tokens, longest {pictures.longest_tokens:,}."
        )
