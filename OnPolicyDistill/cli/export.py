"""`opd fuse` and `opd export`: taking a trained student away."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.adapters.forms import GRAFT_OBSTACLE, GROUP_SIZES, ExportForm, GgufType
from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    print_json,
    print_note,
    print_table,
    print_text,
)
from OnPolicyDistill.cli.runs import open_run
from OnPolicyDistill.cli.training import choose_checkpoint
from OnPolicyDistill.errors import InputError

if TYPE_CHECKING:
    from OnPolicyDistill.adapters.export import ExportRequest
    from OnPolicyDistill.adapters.measured import Outcome
    from OnPolicyDistill.runs.directory import RunDirectory
    from OnPolicyDistill.training.exported import Asked, Source


ModelOption = Annotated[
    str | None, typer.Option(help="The model under the adapter: alias, hub id or folder.")
]
AdapterOption = Annotated[Path | None, typer.Option(help="Folder of the adapter.")]
OutOption = Annotated[Path, typer.Option(help="Folder to write; it must not exist yet.")]
OutOrDefaultOption = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Folder to write; it must not exist yet. Else one in the exports folder."
    ),
]
DequantizeOption = Annotated[
    bool, typer.Option("--dequantize", help="Unpack a quantized base: exact, and larger.")
]


PromptsOption = Annotated[
    Path | None,
    typer.Option(
        "--prompts", help="Held-out prompts or conversations to measure it on; else the run's own."
    ),
]
NumPromptsOption = Annotated[
    int | None,
    typer.Option(min=2, help="At most so many of them, drawn evenly over the file; else 64."),
]
MeasureOption = Annotated[
    bool, typer.Option("--measure/--no-measure", help="Measure what was written, or say it is not.")
]
UNWANTED = "It was exported with --no-measure."


def fuse(
    *,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    out: OutOption,
    dequantize: DequantizeOption = False,
    prompts: PromptsOption = None,
    num_prompts: NumPromptsOption = None,
    measure: MeasureOption = True,
    json: JsonOption = False,
) -> None:
    """Fold an adapter into its model and write the result as a model folder."""
    load_mlx()
    from OnPolicyDistill.adapters.export import ExportRequest

    if adapter is None:
        raise InputError("No adapter is named.", "Give --adapter FOLDER.")
    request = ExportRequest("fused", out, dequantize=dequantize)
    _write(_from_folder(model, adapter), request, _asked(prompts, num_prompts, measure), json)


def export(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run; else give --adapter.")
    ] = None,
    *,
    form: Annotated[
        ExportForm, typer.Option("--as", help="What to write; gguf for few families only.")
    ] = "adapter",
    out: OutOrDefaultOption = None,
    checkpoint: Annotated[
        str, typer.Option("--from", help="Which checkpoint: a step, `best` or `last`.")
    ] = "best",
    model: ModelOption = None,
    adapter: AdapterOption = None,
    bits: Annotated[
        int, typer.Option(min=2, max=8, help="Bits a weight of the quantized form.")
    ] = 4,
    group_size: Annotated[
        int, typer.Option(help="Weights that share a scale in the quantized form: 32, 64 or 128.")
    ] = 64,
    gguf_type: Annotated[
        GgufType, typer.Option(help="How a GGUF file stores weights; q8_0 is half as large.")
    ] = "f16",
    dequantize: DequantizeOption = False,
    prompts: PromptsOption = None,
    num_prompts: NumPromptsOption = None,
    measure: MeasureOption = True,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Write a run's student for mlx-lm, PEFT, LM Studio or Ollama, and measure what was written."""
    if group_size not in GROUP_SIZES:
        sizes = ", ".join(map(str, GROUP_SIZES))
        raise InputError(f"There is no group size {group_size}.", f"There are: {sizes}.")
    load_mlx()
    from OnPolicyDistill.adapters.export import ExportRequest

    if run is not None and _grafts(run, workspace):
        out = out or _default_out(run, form, workspace)
        _write_grafted(run, checkpoint, form, out, workspace, json)
        return
    if run is not None:
        source = _from_run(run, checkpoint, model, workspace)
    elif adapter is not None:
        source = _from_folder(model, adapter)
    else:
        raise InputError("Nothing to export is named.", "Give a run or --adapter FOLDER.")
    out = out or _default_out(run, form, workspace, adapter)
    request = ExportRequest(form, out, bits, group_size, dequantize, gguf_type)
    _write(source, request, _asked(prompts, num_prompts, measure), json)


def _default_out(
    run: str | None, form: ExportForm, workspace: Path | None, adapter: Path | None = None
) -> Path:
    """A new folder in the one that the user has chosen for exports."""
    from OnPolicyDistill.runs.chosen_folders import new_export
    from OnPolicyDistill.runs.directory import default_workspace

    named = adapter.resolve().name if adapter is not None and run is None else None
    name = named or open_run(str(run), workspace).run_id
    return new_export(default_workspace() if workspace is None else workspace, f"{name}-{form}")


def _asked(prompts: Path | None, num_prompts: int | None, measure: bool) -> Asked:
    from OnPolicyDistill.training.exported import ask

    return ask(prompts, num_prompts, "" if measure else UNWANTED)


def _from_folder(model: str | None, adapter: Path) -> Source:
    from OnPolicyDistill.adapters.card import CardFacts
    from OnPolicyDistill.adapters.facts import describe_adapter, public_name
    from OnPolicyDistill.planning.saved_adapters import read_adapter_config
    from OnPolicyDistill.training.exported import Source

    base = model or read_adapter_config(adapter).model
    if base is None:
        raise InputError(f"{adapter} does not say which model it belongs to.", "Give --model.")
    facts = CardFacts(
        name=adapter.resolve().name,
        base_model=public_name(base),
        method="LoRA",
        settings=describe_adapter(adapter, base),
    )
    named = f"export --model {shlex.quote(base)} --adapter {shlex.quote(str(adapter))}"
    return Source(base, adapter, facts, None, named)


def _from_run(name: str, checkpoint: str, model: str | None, workspace: Path | None) -> Source:
    from OnPolicyDistill.adapters.facts import base_model, facts_of_run
    from OnPolicyDistill.config import settings_of
    from OnPolicyDistill.training.exported import Source

    run = open_run(name, workspace)
    chosen, config = _chosen(run, checkpoint), run.config()
    step = int(chosen.name)
    return Source(
        model=model or base_model(config),
        adapter=chosen,
        facts=facts_of_run(run, step),
        settings=settings_of(config),
        named=" ".join(("export", run.run_id, f"--from {step}", *_where(model, workspace))),
    )


def _where(model: str | None, workspace: Path | None) -> list[str]:
    """The options that a command needs to find the same run and model again."""
    options = [] if model is None else [f"--model {shlex.quote(model)}"]
    if workspace is not None:
        options.append(f"--workspace {shlex.quote(str(workspace))}")
    return options


def _chosen(run: RunDirectory, checkpoint: str) -> Path:
    """The checkpoint that is meant; of a run that was never evaluated, its last for its best."""
    from OnPolicyDistill.runs.checkpoints import pointed

    is_there = checkpoint != "best" or pointed(run, "best") is not None
    return choose_checkpoint(run, checkpoint if is_there else "last")


def _grafts(name: str, workspace: Path | None) -> bool:
    """Whether a run gives a grafted model instead of an adapter."""
    from OnPolicyDistill.methods import FACTS

    return FACTS[open_run(name, workspace).config().method].grafts


def _write_grafted(
    name: str, checkpoint: str, form: ExportForm, out: Path, workspace: Path | None, json: bool
) -> None:
    from OnPolicyDistill.adapters.measured import Outcome
    from OnPolicyDistill.adapters.surgery import export_grafted
    from OnPolicyDistill.config import settings_of
    from OnPolicyDistill.training.exported import GRAFTED

    if form not in ("adapter", "fused"):
        raise InputError(f"A run of surgery cannot be written as {form}.", GRAFT_OBSTACLE)
    run = open_run(name, workspace)
    settings = settings_of(run.config())
    with _working() as tell:
        export_grafted(settings, _chosen(run, checkpoint), out, tell)
    _tell(out, "fused", Outcome(not_measured=GRAFTED), json)


def _write(source: Source, request: ExportRequest, asked: Asked, json: bool) -> None:
    from OnPolicyDistill.training.exported import export_student

    if asked.file is not None:
        named = f"{source.named} --prompts {shlex.quote(str(asked.file))}"
        source = replace(source, named=named)
    with _working() as tell:
        outcome = export_student(source, request, asked, tell)
    _tell(request.target, request.form, outcome, json)


@contextmanager
def _working() -> Iterator[Callable[[str, int, int], None]]:
    """Show progress while the block runs, and let a signal stop it between its pieces."""
    from OnPolicyDistill.cli.export_progress import shown
    from OnPolicyDistill.runs.reporting import StopRequest
    from OnPolicyDistill.stopping import stoppable

    stop = StopRequest()
    with shown() as tell, stop.on_signals(), stoppable(stop):
        yield tell


def _tell(written: Path, form: ExportForm, outcome: Outcome, json: bool) -> None:
    """Print what was written, what was measured of it, and what to type next."""
    if json:
        print_json({"path": str(written.resolve()), "form": form, **outcome.model_dump()})
        return
    print_note(f"Written: {written}")
    if outcome.measured is None:
        print_text(f"Not measured: {outcome.not_measured}")
    else:
        from OnPolicyDistill.adapters.measured import sentences, table_rows

        head = ("", "base model", "with the adapter", "these files")
        print_table(head, table_rows(outcome.measured))
        for sentence in sentences(outcome.measured):
            print_text(sentence)
    for line in (outcome.warning, outcome.remedy):
        if line:
            print_note(line)
    for step in outcome.next:
        print_text(f"\n{step.program}:")
        for command in step.commands:
            print_text(f"  {command}")
