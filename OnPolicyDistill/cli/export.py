"""`opd fuse` and `opd export`: taking a trained student away."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.adapters.forms import GRAFT_OBSTACLE, GROUP_SIZES, ExportForm
from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.output import JsonOption, WorkspaceOption, print_json, print_note
from OnPolicyDistill.cli.runs import open_run
from OnPolicyDistill.cli.training import choose_checkpoint
from OnPolicyDistill.errors import InputError

if TYPE_CHECKING:
    from OnPolicyDistill.adapters.card import CardFacts
    from OnPolicyDistill.adapters.export import ExportRequest
    from OnPolicyDistill.runs.directory import RunDirectory


@dataclass(frozen=True, slots=True)
class Source:
    """An adapter, the model it belongs to, and what is known about both."""

    model: str
    adapter: Path
    facts: CardFacts


ModelOption = Annotated[
    str | None, typer.Option(help="The model under the adapter: alias, hub id or folder.")
]
AdapterOption = Annotated[Path | None, typer.Option(help="Folder of the adapter.")]
OutOption = Annotated[Path, typer.Option(help="Folder to write; it must not exist yet.")]
DequantizeOption = Annotated[
    bool, typer.Option("--dequantize", help="Unpack a quantized base: exact, and larger.")
]


def fuse(
    *,
    model: ModelOption = None,
    adapter: AdapterOption = None,
    out: OutOption,
    dequantize: DequantizeOption = False,
    json: JsonOption = False,
) -> None:
    """Fold an adapter into its model and write the result as a model folder."""
    load_mlx()
    from OnPolicyDistill.adapters.export import ExportRequest

    if adapter is None:
        raise InputError("No adapter is named.", "Give --adapter FOLDER.")
    request = ExportRequest("fused", out, dequantize=dequantize)
    _write(_from_folder(model, adapter), request, json)


def export(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="A run; else give --adapter.")
    ] = None,
    *,
    form: Annotated[
        ExportForm, typer.Option("--as", help="What to write; gguf for few families only.")
    ] = "adapter",
    out: OutOption,
    checkpoint: Annotated[
        str, typer.Option("--from", help="Which checkpoint: a step, `best` or `last`.")
    ] = "best",
    model: ModelOption = None,
    adapter: AdapterOption = None,
    bits: Annotated[int, typer.Option(min=2, max=8, help="Of the quantized form.")] = 4,
    group_size: Annotated[int, typer.Option(help="Of the quantized form: 32, 64 or 128.")] = 64,
    dequantize: DequantizeOption = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Write a run's student for mlx-lm, PEFT, LM Studio or Ollama, with a card of its figures."""
    if group_size not in GROUP_SIZES:
        sizes = ", ".join(map(str, GROUP_SIZES))
        raise InputError(f"There is no group size {group_size}.", f"There are: {sizes}.")
    load_mlx()
    from OnPolicyDistill.adapters.export import ExportRequest

    if run is not None and _grafts(run, workspace):
        _write_grafted(run, checkpoint, form, out, workspace)
        _tell(out, "fused", json)
        return
    if run is not None:
        source = _from_run(run, checkpoint, model, workspace)
    elif adapter is not None:
        source = _from_folder(model, adapter)
    else:
        raise InputError("Nothing to export is named.", "Give a run or --adapter FOLDER.")
    request = ExportRequest(form, out, bits, group_size, dequantize)
    _write(source, request, json)


def _from_folder(model: str | None, adapter: Path) -> Source:
    from OnPolicyDistill.adapters.card import CardFacts
    from OnPolicyDistill.adapters.facts import describe_adapter, public_name
    from OnPolicyDistill.planning.saved_adapters import read_adapter_config

    base = model or read_adapter_config(adapter).model
    if base is None:
        raise InputError(f"{adapter} does not say which model it belongs to.", "Give --model.")
    facts = CardFacts(
        name=adapter.resolve().name,
        base_model=public_name(base),
        method="LoRA",
        settings=describe_adapter(adapter, base),
    )
    return Source(base, adapter, facts)


def _from_run(name: str, checkpoint: str, model: str | None, workspace: Path | None) -> Source:
    from OnPolicyDistill.adapters.facts import base_model, facts_of_run

    run = open_run(name, workspace)
    chosen = _chosen(run, checkpoint)
    return Source(model or base_model(run.config()), chosen, facts_of_run(run, int(chosen.name)))


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
    name: str, checkpoint: str, form: ExportForm, out: Path, workspace: Path | None
) -> None:
    from OnPolicyDistill.adapters.surgery import export_grafted
    from OnPolicyDistill.config import settings_of

    if form not in ("adapter", "fused"):
        raise InputError(f"A run of surgery cannot be written as {form}.", GRAFT_OBSTACLE)
    run = open_run(name, workspace)
    settings = settings_of(run.config())
    export_grafted(settings, _chosen(run, checkpoint), out, _report_progress)


def _write(source: Source, request: ExportRequest, json: bool) -> None:
    from OnPolicyDistill.adapters.export import export_adapter, export_model, export_peft
    from OnPolicyDistill.adapters.files import load_adapter
    from OnPolicyDistill.models.loading import load_policy
    from OnPolicyDistill.registry import local_folder

    if request.form == "adapter":
        written = export_adapter(source.adapter, request.target, source.facts)
    elif request.form == "peft":
        base = local_folder(source.model)
        written = export_peft(source.adapter, request.target, source.facts, base)
    else:
        policy, _ = load_adapter(load_policy(source.model), source.adapter)
        written = export_model(policy, request, source.facts, _report_progress)
    _tell(written, request.form, json)


def _tell(written: Path, form: ExportForm, json: bool) -> None:
    if json:
        print_json({"path": str(written.resolve()), "form": form})
    else:
        print_note(f"Written: {written}")


def _report_progress(what: str, done: int, total: int) -> None:
    if done == total:
        print_note(f"{what}: done")
