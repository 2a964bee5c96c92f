"""Every setting has a title and a sentence, beside its definition."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from pydantic import BaseModel

import OnPolicyDistill.settings
from OnPolicyDistill.settings.strict import Settings


def _classes() -> list[type[BaseModel]]:
    for module in pkgutil.iter_modules(OnPolicyDistill.settings.__path__):
        importlib.import_module(f"{OnPolicyDistill.settings.__name__}.{module.name}")
    found: list[type[BaseModel]] = []
    waiting: list[type[BaseModel]] = [Settings]
    while waiting:
        found.extend(below := waiting.pop().__subclasses__())
        waiting.extend(below)
    return [one for one in found if one.__module__.startswith(OnPolicyDistill.settings.__name__)]


@pytest.mark.parametrize("settings", _classes(), ids=lambda settings: settings.__name__)
def test_every_setting_has_words_of_its_own(settings: type[BaseModel]) -> None:
    for name, field in settings.model_fields.items():
        if name != "method":
            assert field.title, f"{settings.__name__}.{name} has no title"
            assert field.description, f"{settings.__name__}.{name} has no description"
            assert "_" not in field.title
