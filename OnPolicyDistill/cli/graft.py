"""`opd graft`: a vision tower on a language model, or a projector folded into the tower."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.output import JsonOption, print_json, print_note
from OnPolicyDistill.errors import InputError

Kind = Literal["linear", "mlp"]
Start = Literal["default", "matched"]


def graft(
    *,
    vision: Annotated[
        str | None, typer.Option(help="The model that sees: a Qwen2.5-VL, folder or hub id.")
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="The model that writes: a Qwen3, folder or hub id.")
    ] = None,
    folded: Annotated[
        Path | None,
        typer.Option("--fold", help="Instead: fold this grafted folder's linear projector."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write; it must not exist yet.")],
    projector: Annotated[Kind, typer.Option(help="One matrix, or two with a GELU.")] = "linear",
    projector_start: Annotated[
        Start, typer.Option(help="matched: pictures as long as words are, default: as drawn.")
    ] = "default",
    seed: Annotated[int, typer.Option(min=0, help="Where the projector's weights start.")] = 0,
    json: JsonOption = False,
) -> None:
    """Put a vision tower on a language model, with a fresh projector between them."""
    if folded is None and (vision is None or language is None):
        raise InputError("Two models make a graft.", "Give --vision and --language, or --fold.")
    if folded is not None and (vision is not None or language is not None):
        raise InputError("A folder is folded as it is.", "Leave out --vision and --language.")
    load_mlx()
    from OnPolicyDistill.adapters.graft_files import fold
    from OnPolicyDistill.adapters.surgery import graft_models

    if folded is not None:
        fold(folded, out, _say)
    else:
        assert vision is not None
        assert language is not None
        is_matched = projector_start == "matched"
        graft_models((vision, language), out, projector, is_matched, seed, _say)
    _report(out, json)


def _say(part: str, done: int, total: int) -> None:
    name = part.replace("_", " ")
    if total:
        print_note(f"{name}: {done / 1e9:.2f} of {total / 1e9:.2f} GB")


def _report(out: Path, json: bool) -> None:
    from OnPolicyDistill.models.grafted import read_config

    config = read_config(out)
    if not json:
        print_note(f"Written: {out}. Only this program loads it; the README in it says more.")
        return
    print_json(
        {
            "path": str(out.resolve()),
            "num_bytes": sum(file.stat().st_size for file in out.iterdir()),
            "projector_kind": config.kind,
            "input_size": config.input_size,
            "output_size": config.output_size,
            "quantized": config.quantization is not None,
        }
    )
