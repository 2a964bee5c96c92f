"""`opd data`: look at prompts and conversations, check, convert and draw them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from OnPolicyDistill.cli.data_apart import separate, split
from OnPolicyDistill.cli.data_causal import baselines, causal, causal_published
from OnPolicyDistill.cli.groups import CommandGroup
from OnPolicyDistill.cli.output import JsonOption, count_of, print_json, print_note, print_text

if TYPE_CHECKING:
    from OnPolicyDistill.datasets.linter import LintReport, Ruler
    from OnPolicyDistill.datasets.prompt_rules import Finding


class DataCommands(CommandGroup):
    """What is done with files, from any file to a held-out one; then how some are made."""

    first = ("lint", "show", "convert", "split", "separate")


app = typer.Typer(
    cls=DataCommands, help="Look at prompt files, check and convert them.", no_args_is_help=True
)

app.command()(causal)
app.command("causal-published")(causal_published)
app.command()(baselines)
app.command()(separate)
app.command()(split)

PICTURES_A_NOTE = 500

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="JSON lines, JSON, a table, parquet or text.")
]


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
    limit: Annotated[int, typer.Option(min=1, help="How many lines to show.")] = 5,
    model: Annotated[
        str | None, typer.Option(help="Render them through this model's chat template.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show the first lines of a file, as they are or as a model would see them."""
    from OnPolicyDistill.datasets.kinds import kind_of
    from OnPolicyDistill.datasets.showing import shown_lines

    ruler = None if model is None else ruler_of(model)
    kind = kind_of(file)
    lines = shown_lines(file, kind, ruler)
    for line in islice(lines, limit):
        if json:
            print_json({"line": line.line, "text": line.text, "answer": line.answer})
            continue
        answer = "" if line.answer is None else f"\n[answer] {line.answer}"
        print_text(f"line {line.line}: {line.text}{answer}")
    num_answers = sum(line.answer is not None for line in lines)
    noun = {"text": "lines"}.get(kind, kind)
    print_note(f"{count_of(len(lines), noun)}, {num_answers} of them with an answer.")


@app.command()
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file of data of any layout.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    to: Annotated[
        Literal["messages", "prompt_completion", "sharegpt", "prompts", "inputs"] | None,
        typer.Option(help="What each line becomes; else what its layout usually does."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option("--from", help="What the lines are; else it is guessed.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", metavar="NAME=COLUMN", help="What a column is: prompt=question. Repeatable."
        ),
    ] = None,
) -> None:
    """Write a file in a form that is trained on; every other key of a line is kept.

    Layouts are told by their keys: conversations, prompts, inputs, alpaca, dolly, gsm8k,
    openassistant, guanaco, squad, ultrafeedback, preference (DPO pairs).
    """
    from OnPolicyDistill.datasets.conversion import LAYOUT_NAMES, Wanted, convert
    from OnPolicyDistill.datasets.mapping import parse_mapping
    from OnPolicyDistill.errors import InputError

    if layout is not None and layout not in LAYOUT_NAMES:
        raise InputError(f"There is no layout {layout}.", f"Use {', '.join(LAYOUT_NAMES)}.")
    done = convert(source, target, Wanted(to, layout, parse_mapping(columns or [])))
    how = "guessed" if layout is None else "given"
    noun = {"prompts": "prompts", "inputs": "inputs"}.get(done.form, "conversations")
    print_note(
        f"Read as {done.layout} ({how}). Wrote {count_of(done.num_lines, noun)} to {target}."
    )
    if done.num_left_out:
        left_out = count_of(done.num_left_out, "lines")
        print_note(f"Left out for want of an answer: {left_out}.")


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


def _others(finding: Finding) -> str:
    """Of how many lines the same is true, and which are the first of them."""
    if finding.num_lines == 1:
        return ""
    more = ", ..." if finding.num_lines > len(finding.lines) else ""
    return f" ({finding.num_lines:,} lines: {', '.join(map(str, finding.lines))}{more})"


def tell_pictures(num_pictures: int) -> None:
    """Say on standard error how far the linter has come with a set's pictures."""
    if num_pictures % PICTURES_A_NOTE == 0:
        print_note(f"{num_pictures:,} pictures looked at.")


def print_lint_report(report: LintReport, counted: str = "prompts") -> None:
    """Print findings as `file:line: what. what to do.` and a summary of what was counted."""
    for finding in report.findings:
        line = "" if finding.line is None else f":{finding.line}"
        told = f"{report.path}{line}: {finding.severity}: {finding.message} {finding.fix}"
        print_text(told + _others(finding))
    if report.num_unlisted:
        print_text(f"{report.path}: and {report.num_unlisted} findings more.")
    lengths = report.lengths
    print_text(
        f"{report.path}: {count_of(report.num_prompts, counted)}, "
        f"{count_of(report.num_answers, 'answers')}, {count_of(report.num_errors, 'errors')}, "
        f"{count_of(report.num_warnings, 'warnings')}; "
        f"median {lengths.median} {lengths.unit}, longest {lengths.longest}."
    )
    pictures = report.pictures
    if pictures is not None:
        print_text(
            f"{report.path}: {pictures.num_pictures:,} pictures on {pictures.num_lines:,} lines, "
            f"{pictures.num_different:,} different, {pictures.num_broken:,} broken; "
            f"median {pictures.median_tokens:,} tokens, longest {pictures.longest_tokens:,}."
        )
