"""A pipeline's file: read, and refused with the line of every wrong setting."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from OnPolicyDistill.config import MAX_CONFIG_BYTES, parse_yaml
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.settings.pipeline import PipelineSettings
from OnPolicyDistill.settings.problems import problem_in_words, setting_keys

FOLDER = "pipelines"
# What a field is called in a file, where Python has that word for something else.
KEYS = [key.replace("start", "from") for key in setting_keys(PipelineSettings)]


class Source:
    """The text of a pipeline and what errors call it; knows on which line a setting stands."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name

    def place(self, *path: str | int) -> str:
        """Where a setting stands, such as `demo.yaml, line 12`.

        Of one that is missing it is the line of what should hold it.
        """
        node: yaml.Node | None = yaml.compose(self.text, Loader=yaml.SafeLoader)
        line = 1
        for part in path:
            node = _child(node, part)
            if node is None:
                break
            line = node.start_mark.line + 1
        return f"{self.name}, line {line}"


def read_source(file: Path) -> Source:
    """Read a pipeline's file, or a shipped one by its name.

    Raises:
        ConfigError: there is none, or it is no text.
    """
    path = _shipped_or_own(file)
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise ConfigError(f"{path} is larger than 1 MB.", "A pipeline is a page of settings.")
        return Source(path.read_text(encoding="utf-8"), str(file))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        known = ", ".join(shipped_pipelines())
        raise ConfigError(
            f"There is no pipeline {file}.", f"Name a file, or one that is shipped: {known}."
        ) from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).", "Check it.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text.", "Save it as UTF-8.") from error


def parse_pipeline(source: Source) -> PipelineSettings:
    """Parse a pipeline's text.

    Raises:
        ConfigError: it is no YAML, or settings are wrong; each is named with its line.
    """
    values = parse_yaml(source.text, source.name)
    if not isinstance(values, dict):
        raise ConfigError(
            f"{source.name} is not a mapping of settings.", "Write a name and a list of stages."
        )
    try:
        return PipelineSettings.model_validate(values)
    except ValidationError as error:
        raise _explain(error, source) from error


def shipped_pipelines() -> dict[str, Path]:
    """The pipelines that are shipped, by name."""
    files = sorted((shipped_folder("configs") / FOLDER).glob("*.yaml"))
    return {file.stem: file for file in files}


def _shipped_or_own(file: Path) -> Path:
    return file if file.exists() else shipped_pipelines().get(file.name, file)


def _child(node: yaml.Node | None, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        found = [key for key, _ in node.value if key.value == part]
        return dict(node.value)[found[0]] if found else None
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        inner: yaml.Node = node.value[part]
        return inner
    return None


def _explain(error: ValidationError, source: Source) -> ConfigError:
    found = error.errors(include_url=False)
    # A list whose only entry is wrong would be called empty as well.
    problems = [one for one in found if one["type"] != "too_short" or len(found) == 1]
    locations = tuple(_located(problem) for problem in problems)
    lines = [
        f"{source.place(*problem['loc'])}: {field}: {message}."
        for problem, (field, message) in zip(problems, locations, strict=True)
    ]
    return ConfigError("\n".join(lines), "Correct it and try again.", locations)


def _located(problem: ErrorDetails) -> tuple[str, str]:
    field = ".".join(map(str, problem["loc"]))
    # Places in lists are numbers, which no key has.
    plain = ".".join(str(part) for part in problem["loc"] if not isinstance(part, int))
    return field, problem_in_words(problem, plain, KEYS)
