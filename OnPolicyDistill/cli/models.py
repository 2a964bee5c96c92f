"""`opd models`: the models this program knows, which of them are here, and getting more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.groups import CommandGroup
from OnPolicyDistill.cli.output import (
    JsonOption,
    print_fields,
    print_json,
    print_note,
    print_table,
)
from OnPolicyDistill.errors import ModelError

if TYPE_CHECKING:
    from OnPolicyDistill.demo.classroom import Progress
    from OnPolicyDistill.planning.outlook import Ground
    from OnPolicyDistill.planning.precision import Precision
    from OnPolicyDistill.registry import KnownModel

Pair = Literal["dates", "languages", "squares", "surgery", "families"]

app = typer.Typer(cls=CommandGroup, help="List known models and get them.", no_args_is_help=False)

NameArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Alias, hub id or folder.")]


@app.callback(invoke_without_command=True)
def list_by_default(context: typer.Context, json: JsonOption = False) -> None:
    """List known models and where they are."""
    if context.invoked_subcommand is None:
        list_all(json)


@app.command("list")
def list_all(json: JsonOption = False) -> None:
    """List known models: size, memory by bits a weight, what fits here and what can train here.

    Bits are the most a weight can have: so that the model alone fits, or fits while it is
    fine-tuned with the defaults of sft and what saves memory.
    """
    from OnPolicyDistill.planning.sizes import BITS
    from OnPolicyDistill.planning.trainable import training_ground
    from OnPolicyDistill.registry import all_models

    ground = training_ground()
    found = [describe(model, ground) for model in all_models()]
    if json:
        print_json(found)
        return
    gb = [f"GB at {bits}" for bits in BITS]
    print_table(
        [
            "alias",
            "size",
            "family",
            *gb,
            "fits here",
            "can train here",
            "thinking",
            "vision",
            "here",
            "hub id",
        ],
        [_row(fact) for fact in found],
        spare=["hub id", "family", *gb, "vision", "thinking"],
    )


@app.command("architectures")
def list_architectures(json: JsonOption = False) -> None:
    """List every architecture of mlx-lm: which train and sample here, and why others do not."""
    from OnPolicyDistill.planning.architectures import ARCHITECTURES

    if json:
        print_json([asdict(architecture) for architecture in ARCHITECTURES.values()])
        return
    rows = [
        [
            each.model_type,
            *("yes" if can else "no" for can in (each.train, each.sample)),
            each.reason or "",
        ]
        for each in ARCHITECTURES.values()
    ]
    print_table(["model_type", "trains", "samples", "reason"], rows, wrapped="reason")


@app.command()
def show(name: NameArgument, json: JsonOption = False) -> None:
    """Show what is known of a model: forms, adapter targets, chat template, where it is."""
    from OnPolicyDistill.planning.trainable import training_ground
    from OnPolicyDistill.registry import find_model

    model = find_model(name)
    if model is None:
        raise ModelError(f"{name} is not in the registry.", "List what is: opd models.")
    fact = describe(model, training_ground())
    if json:
        print_json(fact)
    else:
        print_fields({key.replace("_", " "): _in_words(value) for key, value in fact.items()})


@app.command()
def download(name: NameArgument, json: JsonOption = False) -> None:
    """Download a model from the hub; a broken download goes on where it stopped."""
    from OnPolicyDistill.models.hub import download_model
    from OnPolicyDistill.registry import find_model, local_folder

    model = find_model(name)
    hub_id = name if model is None else model.hub_id
    folder = local_folder(name)
    if folder is None:
        if hub_id is None:
            raise ModelError(f"{name} is embedded and not built.", "opd models build-embedded")
        print_note(f"Downloading {hub_id}.")
        folder = download_model(hub_id)
    if json:
        print_json({"name": name, "path": str(folder)})
    else:
        print_note(f"{name} is in {folder}")


@app.command("build-embedded")
def build_embedded(
    into: Annotated[
        Path | None, typer.Option(help="Data folder to write to; else the shipped one.")
    ] = None,
    pair: Annotated[
        Pair | None,
        typer.Option(help="Build these models only. All of them take more than an hour."),
    ] = None,
) -> None:
    """Make the embedded models again from nothing, and say whether the bytes are the same."""
    load_mlx()
    from OnPolicyDistill.demo import embedded
    from OnPolicyDistill.demo.causal_families import build_causal_families
    from OnPolicyDistill.demo.language_pair import build_language_pair
    from OnPolicyDistill.demo.squares_pair import build_squares_pair
    from OnPolicyDistill.demo.surgery_pair import build_surgery_pair
    from OnPolicyDistill.files import shipped_folder, write_text_atomically

    shipped = shipped_folder("data")
    recorded = shipped / "models" / embedded.SUMS_FILE
    before = set(recorded.read_text(encoding="utf-8").splitlines()) if recorded.is_file() else set()
    target = into or shipped
    builders: dict[Pair, Callable[[Path, Progress], None]] = {
        "languages": build_language_pair,
        "squares": build_squares_pair,
        "surgery": build_surgery_pair,
        "families": build_causal_families,
        "dates": embedded.build_embedded,
    }
    for name in builders if pair is None else (pair,):
        builders[name](target, _Milestones().tell)
    sums = embedded.write_sums(target)
    write_text_atomically(target / "models" / embedded.SUMS_FILE, sums)
    same = set(sums.splitlines()) <= before
    print_note(
        f"Written to {target / 'models'}: the bytes are {'' if same else 'not '}as recorded."
    )


class _Milestones:
    """Prints progress by tenths: a line a step would be hundreds of lines."""

    def __init__(self) -> None:
        self._last = ("", -1)

    def tell(self, what: str, done: int, total: int) -> None:
        """Print when another tenth is done, or something else has begun."""
        now = (what, 10 * done // max(total, 1))
        if now != self._last:
            print_note(f"{what}: {done} of {total}")
            self._last = now


def _row(fact: Mapping[str, object]) -> list[str]:
    """A line of the list; gigabytes are those of the weights."""
    from OnPolicyDistill.planning.sizes import BITS

    sizes, stored = fact["weights_gb"], fact["stored"]
    assert isinstance(sizes, dict)
    assert isinstance(stored, dict)
    return [
        str(fact["alias"]),
        _billions(fact["params"]),
        str(fact["family"]),
        *(_gigabytes(sizes[bits]) if bits in sizes else "" for bits in BITS),
        _bits(fact["fits_at_bits"]),
        _bits(fact["can_train_at_bits"]),
        str(fact["thinking"]),
        "yes" if fact["vision"] else "",
        "; ".join(stored.values()),
        str(fact["hub_id"] or "embedded"),
    ]


def describe(model: KnownModel, ground: Ground) -> dict[str, object]:
    """What a list says of a model.

    `fits_at_bits` and `can_train_at_bits` are the most bits a weight with which it fits here and
    can be fine-tuned here; `stored` says of each form on this machine what its files hold.
    """
    from OnPolicyDistill.planning.architectures import training_reason
    from OnPolicyDistill.planning.models import describe_model
    from OnPolicyDistill.planning.sizes import bytes_by_bits, largest_that_fits, memory_limit
    from OnPolicyDistill.planning.trainable import trainable_bits
    from OnPolicyDistill.registry import local_folder

    folder = local_folder(model.alias)
    sizes = bytes_by_bits(model)
    stored = _stored(model)
    fits, trains = largest_that_fits(sizes, memory_limit()), trainable_bits(model, ground)
    if model.folder is not None and stored:
        # An embedded model is what its files are; nobody converts it.
        (bits,) = (found.bits for found in stored.values())
        sizes = {bits: describe_model(model.alias).loaded_bytes}
        fits, trains = fits and bits, trains and bits
    return {
        "alias": model.alias,
        "aliases": list(model.aliases),
        "hub_id": model.hub_id,
        "hub_ids": model.hub_ids,
        "params": model.params or describe_model(model.alias).num_parameters,
        "family": model.family,
        "weights_gb": {bits: round(size / 1e9, 4) for bits, size in sizes.items()},
        "fits_at_bits": fits,
        "can_train_at_bits": trains,
        "stored": {name: found.words for name, found in stored.items()},
        "trains": training_reason(model.family) is None,
        "logit_width": model.logit_width,
        "tokenizer": model.chat.tokenizer,
        "thinking": model.chat.thinking,
        "system_role": model.chat.system,
        "end_ids": list(model.chat.end_ids),
        "vision": model.vision,
        "instruct": model.instruct,
        "lora_targets": list(model.lora_targets or ()),
        "local_path": None if folder is None else str(folder),
    }


def _stored(model: KnownModel) -> dict[str, Precision]:
    """How each form of a model on this machine is stored, by the name that a config gives it."""
    from OnPolicyDistill.registry import local_folder

    packed = (f"{model.alias}-{form}" for form in model.forms if form != "bf16")
    folders = {name: local_folder(name) for name in (model.alias, *packed)}
    return {name: _precision(folder) for name, folder in folders.items() if folder is not None}


def _precision(folder: Path) -> Precision:
    from OnPolicyDistill.planning.precision import Precision, precision_of_folder

    try:
        return precision_of_folder(folder)
    except ModelError:
        return Precision(0, "cannot be read")


def _bits(bits: object) -> str:
    return "no" if bits is None else f"{bits} bit"


def _gigabytes(size: float) -> str:
    """One decimal, and what would read as nothing as what it is less than."""
    return f"{size:.1f}" if size >= 0.05 else "<0.1"


def _billions(params: object) -> str:
    if not isinstance(params, int):
        return ""
    return f"{params / 1e9:.1f}B" if params >= 1e8 else f"{params / 1e6:.1f}M"


def _in_words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {item}" for key, item in value.items()) or "-"
    return "-" if value is None else str(value)
