"""Known models: aliases, where they are, their dimensions and what their chat template does.

The facts stand in configs/models.yaml. Nothing here loads a model or asks the network.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Literal

from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from OnPolicyDistill.config import read_yaml
from OnPolicyDistill.files import read_model_file, shipped_folder

Form = Literal["bf16", "8bit", "6bit", "5bit", "4bit", "3bit"]
Thinking = Literal["never", "optional", "always"]
SystemRole = Literal["own", "folded"]

MLX_ORGANISATION = "mlx-community"
# Anchored: in Qwen3-4B-Thinking-2507 the word is part of another model's name.
VARIANT_SUFFIX = re.compile(r"-(instruct|thinking)$", re.IGNORECASE)
FORM_SUFFIX = re.compile(r"-(bf16|[34568]bit)$", re.IGNORECASE)
INDEX_FILE = "model.safetensors.index.json"
# Ten times the largest that was published.
MAX_INDEX_BYTES = 100_000_000


class Facts(BaseModel):
    """Frozen, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Chat(Facts):
    """Tokenizer and template facts that models of one kind share."""

    tokenizer: str = Field(description="Models with the same name share one id-to-string map.")
    vocab_size: int | None = Field(None, description="Tokens with added ones; logits are wider.")
    end_ids: tuple[int, ...] = Field((), description="First the one that closes a turn.")
    header: str = Field("", description="What opens the assistant's turn.")
    thinking: Thinking = "never"
    system: SystemRole = Field(
        "own", description="A turn of its own for system messages, or folded into the user's."
    )


class KnownModel(Facts):
    """One model of the registry, in the form that was asked for.

    `config` has the keys of Hugging Face's config.json. `form` is how the weights are stored;
    `hub_id` is the repository that holds them in that form. Embedded models have a `folder`.
    `lora_targets` is None where the family has no list. `mlx_name` is what conversions are named
    after, where that is not the original's own name.
    """

    alias: str
    aliases: tuple[str, ...] = ()
    original_id: str | None = None
    form: Form = "bf16"
    forms: tuple[Form, ...] = ()
    family: str
    base_name: str
    config: dict[str, JsonValue]
    params: int | None = None
    lora_targets: tuple[str, ...] | None
    chat: Chat
    instruct: bool = True
    folder: Path | None = None
    mlx_name: str | None = None

    @property
    def hub_id(self) -> str | None:
        """The repository to download; None for embedded models."""
        if self.original_id is None or self.form == "bf16":
            return self.original_id
        return f"{MLX_ORGANISATION}/{self.mlx_name or _last_part(self.original_id)}-{self.form}"

    @property
    def hub_ids(self) -> dict[str, str]:
        """Every repository of this model, by form; the original is bf16."""
        if self.original_id is None:
            return {}
        quantized = (form for form in self.forms if form != "bf16")
        return {
            "bf16": self.original_id,
            **{form: str(self.model_copy(update={"form": form}).hub_id) for form in quantized},
        }

    @property
    def bits(self) -> int:
        """Bits of a weight: 16, or what the quantized form has."""
        return 16 if self.form == "bf16" else int(self.form.removesuffix("bit"))

    @property
    def name(self) -> str:
        """The alias with the form, as a config would write it."""
        return self.alias if self.form == "bf16" else f"{self.alias}-{self.form}"

    @property
    def vision(self) -> bool:
        """Whether the model sees images."""
        return "vision_config" in self.config

    @property
    def logit_width(self) -> int | None:
        """Rows of the output head, padding included."""
        text = self.config.get("text_config")
        width = (text if isinstance(text, dict) else self.config).get("vocab_size")
        return width if isinstance(width, int) else None


class ModelLine(Facts):
    """One model as models.yaml writes it."""

    hub_id: str | None = None
    folder: Path | None = None
    configuration: str | None = None
    chat: str
    params: int | None = None
    forms: tuple[Form, ...] = ()
    aliases: tuple[str, ...] = ()
    instruct: bool = True
    mlx_name: str | None = None


class RegistryFile(Facts):
    """models.yaml."""

    families: dict[str, tuple[str, ...]]
    chats: dict[str, Chat]
    configurations: dict[str, dict[str, JsonValue]]
    models: dict[str, ModelLine]


def base_name(name: str) -> str:
    """Name of the configuration that the Instruct and Thinking variants of a model share."""
    return VARIANT_SUFFIX.sub("", _last_part(name))


@cache
def all_models() -> tuple[KnownModel, ...]:
    """Every known model in its original form, in the order of models.yaml."""
    file = _registry_file()
    return tuple(_known(alias, line, file) for alias, line in file.models.items())


def find_model(name: str) -> KnownModel | None:
    """Return the model that an alias or hub id names, in any case and with any form's suffix.

    `qwen2.5-32b-4bit`, `Qwen/Qwen2.5-32B-Instruct` and `mlx-community/Qwen2.5-32B-Instruct-4bit`
    are all known; an unknown name gives None.
    """
    wanted = name.strip().lower()
    organisation, _, last = wanted.rpartition("/")
    suffix = FORM_SUFFIX.search(last)
    stem = last[: suffix.start()] if suffix else last
    model = _by_hub_name().get(stem) if organisation else _by_alias().get(stem)
    if model is None or (organisation and not _from_there(organisation, model)):
        return None
    if suffix is None:
        return model
    form: Form = TypeAdapter(Form).validate_python(suffix.group(1))
    return model.model_copy(update={"form": form}) if model.original_id else None


def propose_model(name: str) -> str:
    """`Is it tiny-teacher? ` for a name that nearly is one, else nothing."""
    near = get_close_matches(name.strip().lower(), _by_alias(), 1, cutoff=0.8)
    return f"Is it {near[0]}? " if near else ""


def lora_targets(model_type: str) -> tuple[str, ...] | None:
    """Linear layers that an adapter takes by default in a family; None for unknown families."""
    return _registry_file().families.get(model_type)


def local_folder(name: str, cache_dir: Path | None = None) -> Path | None:
    """Return where a model lies complete on this machine, without asking the network.

    A folder of that path, an embedded model, or the hub's snapshot of a known alias or hub id
    when its configuration and every weight file are there; else None.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    model = find_model(name)
    if model is not None and model.folder is not None:
        return model.folder if (model.folder / "config.json").is_file() else None
    hub_id = model.hub_id if model is not None else name
    return None if hub_id is None else _snapshot(hub_id, cache_dir)


def _snapshot(hub_id: str, cache_dir: Path | None) -> Path | None:
    try:
        found = try_to_load_from_cache(hub_id, "config.json", cache_dir=cache_dir)
    except HFValidationError:
        return None
    folder = Path(found).parent if isinstance(found, str) else None
    return folder if folder is not None and _is_complete(folder) else None


def _is_complete(folder: Path) -> bool:
    index = folder / INDEX_FILE
    if not index.is_file():
        return any(folder.glob("*.safetensors"))
    try:
        if index.stat().st_size > MAX_INDEX_BYTES:
            return False
        shards = json.loads(read_model_file(index))["weight_map"].values()
        return all((folder / str(shard)).is_file() for shard in shards)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return False


@cache
def _registry_file() -> RegistryFile:
    return RegistryFile.model_validate(read_yaml(shipped_folder("configs") / "models.yaml"))


@cache
def _by_alias() -> dict[str, KnownModel]:
    """Models by alias, and by the hub's name where no alias has it: qwen2.5-1.5b is Instruct."""
    names = {alias: model for model in all_models() for alias in (model.alias, *model.aliases)}
    return {**_by_hub_name(), **names}


@cache
def _by_hub_name() -> dict[str, KnownModel]:
    """Models by the last part of their repositories, without the suffix of a form."""
    named = [(model, model.original_id) for model in all_models() if model.original_id is not None]
    names = {_last_part(hub_id).lower(): model for model, hub_id in named}
    conversions = {m.mlx_name.lower(): m for m, _ in named if m.mlx_name is not None}
    return {FORM_SUFFIX.sub("", name): model for name, model in {**conversions, **names}.items()}


def _from_there(organisation: str, model: KnownModel) -> bool:
    original = str(model.original_id).split("/", maxsplit=1)[0].lower()
    return organisation in (original, MLX_ORGANISATION)


def _known(alias: str, line: ModelLine, file: RegistryFile) -> KnownModel:
    last = alias if line.hub_id is None else _last_part(line.hub_id)
    configuration = line.configuration or base_name(last)
    folder = None if line.folder is None else shipped_folder("data") / line.folder
    config = _embedded_config(folder) if folder else file.configurations[configuration]
    family = str(config.get("model_type", "qwen2"))
    return KnownModel(
        alias=alias,
        aliases=line.aliases,
        original_id=line.hub_id,
        forms=line.forms,
        family=family,
        base_name=configuration,
        config=config,
        params=line.params,
        lora_targets=file.families.get(family),
        chat=file.chats[line.chat],
        instruct=line.instruct,
        folder=folder,
        mlx_name=line.mlx_name,
    )


def _embedded_config(folder: Path) -> dict[str, JsonValue]:
    """Dimensions of an embedded model; none while its folder has not been built."""
    try:
        values: Mapping[str, JsonValue] = json.loads(read_model_file(folder / "config.json"))
    except FileNotFoundError:
        return {}
    return dict(values)


def _last_part(hub_id: str) -> str:
    return hub_id.rsplit("/", maxsplit=1)[-1]
