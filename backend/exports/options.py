"""What can be made of a run's checkpoint, and the adapter that leaves at once as a zip file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from backend.backend import Backend
from backend.bundles.outgoing import Outlet, add_file
from backend.door.door import DOOR
from backend.door.folders import facts_of_folder
from backend.door.questions import CheckpointFacts, CheckpointQuestion
from backend.exports.views import ExportOptions, ExportWish, FormOption
from backend.models.place import Hub
from backend.paths import probe
from backend.problems import WrongFieldError
from OnPolicyDistill.adapters.facts import base_model, public_name
from OnPolicyDistill.adapters.forms import (
    GRAFT_OBSTACLE,
    GROUP_SIZES,
    LIGHT_FORMS,
    ExportForm,
)
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.registry import local_folder
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.checkpoints import exported, list_checkpoints, pointed
from OnPolicyDistill.runs.directory import RunDirectory

FORMS: tuple[ExportForm, ...] = ("adapter", "peft", "fused", "quantized", "gguf")
ADAPTER_FILES = ("adapter_config.json", "adapters.safetensors")
# Only who resumes needs these.
RESUMED_FILES = ("optimizer.safetensors", "state.json")
# A quantized layer's scale and bias take 32 bits for each group of weights.
BITS_PER_GROUP = 32
HALF_BITS = 16


def checkpoint_folder(run: RunDirectory, step: int | None) -> Path:
    """Return the checkpoint of a step; without one the best, else the last.

    Raises:
        WrongFieldError: the run has no such checkpoint.
    """
    if step is None:
        found = exported(run)
    else:
        found = next((path for path in list_checkpoints(run) if int(path.name) == step), None)
    if found is None:
        which = "checkpoint yet" if step is None else f"checkpoint of step {step}"
        raise WrongFieldError("checkpoint", f"Run {called(run)} has no {which}.")
    return found


def read_options(
    backend: Backend, hub: Hub, run_id: str, step: int | None, blocked: str
) -> ExportOptions:
    """Say what can be made of a checkpoint.

    Raises:
        NotFoundError: there is no such run.
        WrongFieldError: it has no such checkpoint.
    """
    run = backend.existing(run_id)
    chosen = checkpoint_folder(run, step)
    best = pointed(run, "best")
    model = base_model(run.config())
    facts = _facts_of(hub, run, chosen)
    forms, num_parameters = _forms_of(hub, run, chosen, facts)
    return ExportOptions(
        run_id=run.run_id,
        checkpoint=int(chosen.name),
        checkpoints=tuple(int(path.name) for path in list_checkpoints(run)),
        best=None if best is None else int(best.name),
        base_model=public_name(model),
        num_parameters=num_parameters,
        forms=forms,
        card=facts.card,
        blocked=blocked,
    )


def check_possible(backend: Backend, hub: Hub, wish: ExportWish) -> int:
    """Return about how many bytes an export needs on the disk while it is written.

    Raises:
        NotFoundError: there is no such run.
        WrongFieldError: there is no such checkpoint, or the form is not possible.
    """
    if wish.group_size not in GROUP_SIZES:
        sizes = ", ".join(map(str, GROUP_SIZES))
        raise WrongFieldError("body.group_size", f"It is one of {sizes}.")
    run = backend.existing(wish.run_id)
    checkpoint = checkpoint_folder(run, wish.checkpoint)
    facts = _facts_of(hub, run, checkpoint)
    forms, num_parameters = _forms_of(hub, run, checkpoint, facts)
    option = next(option for option in forms if option.form == wish.form)
    if option.obstacle is not None:
        raise WrongFieldError("body.form", option.obstacle)
    # Packed forms are written unpacked first.
    unpacked = (num_parameters or 0) * HALF_BITS // 8
    return (option.num_bytes or 0) + (unpacked if wish.form in ("quantized", "gguf") else 0)


def stream_adapter(hub: Hub, run: RunDirectory, checkpoint: Path) -> Iterator[bytes]:
    """A checkpoint's adapter with its card as a zip file; nothing is written for it.

    Raises:
        DistillError: run or checkpoint cannot be read, said before the first byte.
    """
    return _zipped(run, checkpoint, _facts_of(hub, run, checkpoint).card)


def _zipped(run: RunDirectory, checkpoint: Path, card: str) -> Iterator[bytes]:
    outlet = Outlet()
    top = f"{run.run_id}-{int(checkpoint.name)}"
    with zipfile.ZipFile(outlet, "w", allowZip64=True) as archive:
        archive.writestr(f"{top}/README.md", card)
        for name in _learned_files(run, checkpoint):
            yield from add_file(archive, outlet, checkpoint / name, f"{top}/{name}")
    yield outlet.take()


def _learned_files(run: RunDirectory, checkpoint: Path) -> tuple[str, ...]:
    """What a checkpoint has beside the optimizer and the state: an adapter, or a projector."""
    if not FACTS[run.config().method].grafts:
        return ADAPTER_FILES
    names = sorted(file.name for file in checkpoint.iterdir())
    return tuple(name for name in names if name not in RESUMED_FILES)


def _facts_of(hub: Hub, run: RunDirectory, checkpoint: Path) -> CheckpointFacts:
    """What is read of a run and its checkpoint, behind the door.

    Raises:
        DistillError: they cannot be read.
    """
    model = base_model(run.config())
    probe(model)
    base = local_folder(model, hub.cache_dir)
    question = CheckpointQuestion(run=run.path, step=int(checkpoint.name), base=base)
    return DOOR.ask(question, CheckpointFacts)


def _forms_of(
    hub: Hub, run: RunDirectory, checkpoint: Path, facts: CheckpointFacts
) -> tuple[tuple[FormOption, ...], int | None]:
    config = run.config()
    if not FACTS[config.method].grafts:
        return _forms(hub, base_model(config), checkpoint, facts)
    return _nothing_but(facts.graft_bytes, facts.graft_obstacle), facts.graft_parameters


def _nothing_but(num_bytes: int | None, obstacle: str | None) -> tuple[FormOption, ...]:
    """The whole model, of so many bytes, if nothing stands against it, and no other form."""
    return tuple(
        FormOption(form=form, obstacle=obstacle, num_bytes=num_bytes)
        if form == "fused"
        else FormOption(form=form, obstacle=GRAFT_OBSTACLE, num_bytes=None)
        for form in FORMS
    )


def _forms(
    hub: Hub, model: str, checkpoint: Path, facts: CheckpointFacts
) -> tuple[tuple[FormOption, ...], int | None]:
    """Return every form with what it would weigh, and the number of the model's parameters."""
    folder = local_folder(model, hub.cache_dir)
    light = _light_forms(checkpoint / ADAPTER_FILES[1], facts.peft_obstacle)
    try:
        about = None if folder is None else facts_of_folder(folder)
    except ModelError as error:
        return (*light, *_impossible(f"{error.message} {error.action}")), None
    if about is None:
        missing = f"{public_name(model)} is not on this machine; download it first."
        return (*light, *_impossible(missing)), None
    half = about.parameters * HALF_BITS // 8
    quantized = round(about.parameters * (4 + BITS_PER_GROUP / 64) / 8)
    return (
        *light,
        FormOption(form="fused", obstacle=None, num_bytes=about.loaded_bytes),
        FormOption(form="quantized", obstacle=None, num_bytes=quantized),
        FormOption(form="gguf", obstacle=about.gguf_obstacle, num_bytes=half),
    ), about.parameters


def _light_forms(weights: Path, obstacle: str | None) -> tuple[FormOption, ...]:
    """The adapter itself, and PEFT's form of it: both weigh what its file does."""
    num_bytes = weights.stat().st_size if weights.is_file() else None
    return (
        FormOption(form="adapter", obstacle=None, num_bytes=num_bytes),
        FormOption(form="peft", obstacle=obstacle, num_bytes=num_bytes),
    )


def _impossible(reason: str) -> tuple[FormOption, ...]:
    return tuple(
        FormOption(form=form, obstacle=reason, num_bytes=None)
        for form in FORMS
        if form not in LIGHT_FORMS
    )
