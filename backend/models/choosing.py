"""What can take a place of a run, and which pairs this machine can hold: asked behind the door.

Answers are kept for a while: the screen asks again with every page that shows them.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import TypeVar

from pydantic import BaseModel

from backend.door.asked import Asked
from backend.door.door import DOOR
from backend.door.questions import ChoicesQuestion, MapQuestion
from backend.models.library import ModelLibrary
from backend.models.local import canonical
from backend.models.views import ModelChoice, ModelChoices, ModelList, Speaks
from OnPolicyDistill.config import BLOCK_OF_METHOD, RunConfig, settings_of
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.planning.choices import Choice, Choices
from OnPolicyDistill.planning.pairs import PairMap

KEPT_ANSWERS = 64
# Prompt files and finished runs, which answers depend on, may change meanwhile.
KEPT_SECONDS = 60.0

Answer = TypeVar("Answer", bound=BaseModel)


class Choosing:
    """Methods may be called from any thread."""

    def __init__(self, library: ModelLibrary, workspace: Path) -> None:
        self._library, self._workspace = library, workspace
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[float, BaseModel]] = OrderedDict()

    def choices(self, config: RunConfig, key: str) -> ModelChoices:
        """Forecast a run with each known or local model under a key of its block.

        Raises:
            ConfigError: the method names no model there.
        """
        partner = _partner(config, key)
        models = self._library.list()
        question = ChoicesQuestion(
            config=config.model_dump(mode="json"),
            key=key,
            names=_names(models),
            workspace=self._workspace,
        )
        tokens = _tokens(models)
        other = None if partner is None else tokens.get(canonical(partner), "")
        found = self._ask(question, Choices, models)
        return ModelChoices(
            key=key,
            choices=tuple(
                _view(choice, None if other is None else _speaks(tokens, choice.name, other))
                for choice in found.choices
            ),
        )

    def map(self, config: RunConfig, lengths: tuple[int, ...], memory_gb: float | None) -> PairMap:
        """Look at pairs of known models with a run's settings, by completion length.

        Raises:
            InputError: the method is not planned by pairs.
        """
        models = self._library.list()
        question = MapQuestion(
            config=config.model_dump(mode="json"),
            lengths=lengths,
            here=tuple(form.name for each in models.known for form in each.forms if form.is_here),
            memory_gb=memory_gb,
            workspace=self._workspace,
        )
        return self._ask(question, PairMap, models)

    def _ask(self, question: Asked, kind: type[Answer], models: ModelList) -> Answer:
        here = [(model.id, model.disk_bytes, model.is_complete) for model in models.local]
        key = f"{question.model_dump_json()} {here}"
        with self._lock:
            asked, answer = self._kept.get(key, (0.0, None))
        if isinstance(answer, kind) and time.monotonic() - asked < KEPT_SECONDS:
            return answer
        found = DOOR.ask(question, kind)
        with self._lock:
            self._kept[key] = time.monotonic(), found
            while len(self._kept) > KEPT_ANSWERS:
                self._kept.popitem(last=False)
        return found


def _partner(config: RunConfig, key: str) -> str | None:
    """The model that has to speak the same tokens, where the method has one.

    Raises:
        ConfigError: the method names no model under this key.
    """
    models = FACTS[config.method].models
    if key not in {model.key for model in models}:
        field = f"{BLOCK_OF_METHOD[config.method]}.{key}"
        message = "This setting names no model."
        raise ConfigError(message, "Name a setting that does.", ((field, message),))
    if {model.role for model in models} != {"student", "teacher"}:
        return None
    values = settings_of(config).model_dump()
    (other,) = (model.key for model in models if model.key != key)
    return str(values[other])


def _names(models: ModelList) -> tuple[str, ...]:
    """Known forms that can be had, and whatever else is on this machine."""
    known = [
        form.name
        for each in models.known
        for form in each.forms
        if form.is_here or form.hub_id is not None
    ]
    local = [m.name for m in models.local if m.is_complete and m.alias is None]
    return tuple(dict.fromkeys((*known, *local)))


def _tokens(models: ModelList) -> dict[str, str]:
    """What tokens each model speaks, by canonical name: as the registry calls them, or a digest.

    A digest that a known model has as well is called as the registry calls that one's.
    """
    registry = {
        canonical(form.name): each.tokenizer for each in models.known for form in each.forms
    }
    read = {canonical(m.name): m.tokens for m in models.local if m.tokens is not None}
    called = {digest: registry[name] for name, digest in read.items() if name in registry}
    return {**{name: called.get(digest, digest) for name, digest in read.items()}, **registry}


def _speaks(tokens: dict[str, str], name: str, other: str) -> Speaks:
    own = tokens.get(canonical(name), "")
    if not own or not other:
        return "unknown"
    return "same" if own == other else "other"


def _view(choice: Choice, speaks: Speaks | None) -> ModelChoice:
    found = choice.outlook
    return ModelChoice(
        name=choice.name,
        verdict=None if found is None else found.verdict,
        needed_gb=None if found is None else found.needed_gb,
        seconds=None if found is None else found.seconds,
        speaks=speaks,
        problem=choice.problem,
    )
