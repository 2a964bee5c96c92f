"""Chat templates rendered from a model folder, exactly as transformers renders them.

One renderer for the web process, which never loads a model, and for the policies that train.
Templates come from the hub and are not trusted: they run sandboxed and bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Template, TemplateError
from pydantic import JsonValue

from OnPolicyDistill.datasets.messages import calls_tools, plain_content
from OnPolicyDistill.datasets.picture_prompts import LayoutError
from OnPolicyDistill.datasets.template_sandbox import TemplateSandbox
from OnPolicyDistill.datasets.tokenizer_files import (
    TOKENIZER_CONFIG,
    read_settings,
    special_tokens,
)
from OnPolicyDistill.datasets.tool_calls import ArgumentForm, argument_form, with_arguments
from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.files import read_model_file

TEMPLATE_FILE = "chat_template.jinja"
PROCESSOR_TEMPLATE_FILE = "chat_template.json"
DEFAULT_NAME = "default"
SAMPLE = "What is 17 + 25?"
SAMPLE_ANSWER = "It is 42."
THOUGHT_MARKS = ("<think>", "</think>")
MAX_TEMPLATE_CHARACTERS = 1_000_000
# The standard name first; templates of some families read one of the others.
REASONING_KEYS = ("reasoning_content", "thinking", "reasoning")


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model's chat template with the special tokens it may write."""

    source: str
    folder: Path
    special: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path) -> ChatTemplate:
        """Read a folder's template: chat_template.jinja, else its tokenizer_config.json.

        Raises:
            ModelError: the folder has no template, or a file is damaged.
        """
        source = _find_source(folder)
        if source is None:
            raise ModelError(
                f"{folder} has no chat template.",
                "Use an instruct model, or add a chat_template.jinja to the folder.",
            )
        if len(source) > MAX_TEMPLATE_CHARACTERS:
            raise ModelError(f"The chat template in {folder} is longer than 1 MB.", "Replace it.")
        return cls(source, folder, special_tokens(folder))

    def render(
        self,
        messages: Sequence[Mapping[str, JsonValue]],
        add_generation_prompt: bool = True,
        enable_thinking: bool | None = None,
        tools: Sequence[JsonValue] = (),
    ) -> str:
        """Write a conversation as the model's text; special tokens are written out.

        `add_generation_prompt` opens the assistant's turn. `enable_thinking` is passed on only
        when it is set, because templates tell unset from false. Arguments of tool calls are given
        as the template writes them best.

        Raises:
            ModelError: the template is broken or does not come to an end.
            DatasetError: the template refuses these messages, for example their order of roles.
        """
        values: dict[str, object] = {**self.special}
        if enable_thinking is not None:
            values["enable_thinking"] = enable_thinking
        plain = [_plain_message(message) for message in messages]
        if any(map(calls_tools, plain)):
            form = _argument_form(self)
            plain = [with_arguments(message, form) for message in plain]
        values["messages"] = plain
        values["tools"] = list(tools) or None
        values["add_generation_prompt"] = add_generation_prompt
        return self._written(values)

    def _written(self, values: Mapping[str, object]) -> str:
        sandbox, template = self._compiled()
        try:
            return sandbox.bounded(template, {**values, "documents": None})
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise DatasetError(
                f"The chat template in {self.folder} cannot write this conversation "
                f"({error or type(error).__name__}).",
                "Check the roles and their order; some models take no system message.",
            ) from error
        except (RecursionError, MemoryError) as error:
            raise ModelError(
                f"The chat template in {self.folder} does not come to an end.",
                "Replace it with the one the model was published with.",
            ) from error

    def opening(self, enable_thinking: bool | None = None) -> str:
        """What stands between the user's last word and the completion's first token.

        All of it is prompt: the end of the user's turn, the header of the assistant's, and the
        `<think>` that some templates open.
        """
        sample: list[dict[str, JsonValue]] = [{"role": "user", "content": SAMPLE}]
        return self.render(sample, enable_thinking=enable_thinking).rpartition(SAMPLE)[2]

    @property
    def switches_thinking(self) -> bool:
        """Whether thinking can be turned off, which writes an empty thought, and on.

        Templates that always or never think say the same either way.
        """
        without, thinking = self.opening(False), self.opening(True)
        return without != thinking and all(mark in without for mark in THOUGHT_MARKS)

    def closing(self) -> str:
        """What stands behind the last word of a conversation that the assistant ends.

        Raises:
            ModelError: the template leaves out what the assistant says.
        """
        sample: list[dict[str, JsonValue]] = [
            {"role": "user", "content": SAMPLE},
            {"role": "assistant", "content": SAMPLE_ANSWER},
        ]
        _, found, closing = self.render(sample, add_generation_prompt=False).rpartition(
            SAMPLE_ANSWER
        )
        if not found:
            raise ModelError(
                f"The chat template in {self.folder} leaves out what the assistant says.",
                "Replace it with the one the model was published with.",
            )
        return closing

    def _compiled(self) -> tuple[TemplateSandbox, Template]:
        try:
            return _compile(self.source)
        except TemplateError as error:
            raise ModelError(
                f"The chat template in {self.folder} is no valid template ({error}).",
                "Replace it with the one the model was published with.",
            ) from error


@lru_cache(maxsize=32)
def _compile(source: str) -> tuple[TemplateSandbox, Template]:
    sandbox = TemplateSandbox()
    return sandbox, sandbox.compiled(source)


def _argument_form(template: ChatTemplate) -> ArgumentForm:
    special = tuple(sorted(template.special.items()))
    return _form_of_arguments(template.source, template.folder, special)


@lru_cache(maxsize=32)
def _form_of_arguments(
    source: str, folder: Path, special: tuple[tuple[str, str], ...]
) -> ArgumentForm:
    """What a template wants of arguments; nothing where it refuses calls, which is said later."""
    template = ChatTemplate(source, folder, dict(special))

    def write(messages: Sequence[Mapping[str, JsonValue]]) -> str | None:
        values = {"messages": messages, "tools": None, "add_generation_prompt": False}
        try:
            return template._written({**template.special, **values})
        except DatasetError:
            return None

    return argument_form(write)


def _find_source(folder: Path) -> str | None:
    file = folder / TEMPLATE_FILE
    if file.is_file():
        try:
            return read_model_file(file).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{file} is not UTF-8 text.", "Download it again.") from error
    for name in (TOKENIZER_CONFIG, PROCESSOR_TEMPLATE_FILE):
        source = _named_default(read_settings(folder, name).get("chat_template"))
        if source is not None:
            return source
    return None


def _named_default(value: object) -> str | None:
    """The template itself, or the one named default of a list of named ones."""
    if isinstance(value, list):
        named = {item.get("name"): item.get("template") for item in value if isinstance(item, dict)}
        value = named.get(DEFAULT_NAME)
    return value if isinstance(value, str) else None


def _plain_message(message: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Drop empty keys, which many templates would write as None, and name reasoning alike.

    Content is a text, because many templates write a list as Python does; parts stay parts only
    where a picture is among them.

    Raises:
        DatasetError: a part of the content is neither words nor a picture.
    """
    plain: dict[str, JsonValue] = {
        key: value for key, value in message.items() if value is not None
    }
    content = plain.get("content")
    if isinstance(content, list):
        try:
            plain["content"] = plain_content(content)
        except LayoutError as error:
            raise DatasetError(error.message, error.fix) from error
    elif content is None and calls_tools(plain):
        plain["content"] = ""
    reasoning = next((plain[key] for key in REASONING_KEYS if key in plain), None)
    if reasoning is not None:
        plain = {"thinking": reasoning, **plain, "reasoning_content": reasoning}
    return plain
