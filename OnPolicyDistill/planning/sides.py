"""One side of a pair: what decides how a model ends, opens and widens, from files or registry."""

from __future__ import annotations

from dataclasses import dataclass

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.tokenizer_files import TokenizerFiles
from OnPolicyDistill.planning.dimensions import parse_dimensions
from OnPolicyDistill.planning.models import read_config
from OnPolicyDistill.registry import KnownModel, Thinking

THINK_TAG = "<think>"


@dataclass(frozen=True, slots=True)
class Side:
    """A model as its partner sees it. `turn_end` is the token that closes an answer."""

    name: str
    end_ids: frozenset[int]
    turn_end: int | None
    turn_end_text: str
    opening: str
    thinking: Thinking
    logit_width: int
    bits: int

    @property
    def plain_opening(self) -> str:
        """The opening without the thought that some templates begin."""
        return self.opening.partition(THINK_TAG)[0]


def side_from_files(files: TokenizerFiles) -> Side:
    """Read a model folder's side.

    Raises:
        ModelError: the folder has no template or no usable config.json.
    """
    template = ChatTemplate.load(files.folder)
    dimensions = parse_dimensions(read_config(files.folder), str(files.folder))
    turn_end = _turn_end(files, template.closing())
    opening = template.opening()
    return Side(
        name=str(files.folder),
        end_ids=files.end_ids,
        turn_end=turn_end,
        turn_end_text="" if turn_end is None else files.strings[turn_end],
        opening=opening,
        thinking=_thinking(template, opening),
        logit_width=dimensions.logit_width,
        bits=dimensions.bits,
    )


def side_from_registry(known: KnownModel) -> Side:
    """Take the registry's facts."""
    ends = known.chat.end_ids
    return Side(
        name=known.name,
        end_ids=frozenset(ends),
        turn_end=ends[0] if ends else None,
        turn_end_text="by the registry",
        opening=known.chat.header,
        thinking=known.chat.thinking,
        logit_width=known.logit_width or 0,
        bits=known.bits,
    )


def _turn_end(files: TokenizerFiles, closing: str) -> int | None:
    """The token with which the template ends an answer: an end token if it has one, or its first.

    The eos token alone says less: a base model's is that of plain text, whatever its template.
    """
    ids = files.encode(closing.strip())
    return next((token for token in ids if token in files.end_ids), ids[0] if ids else None)


def _thinking(template: ChatTemplate, opening: str) -> Thinking:
    if THINK_TAG in opening:
        return "always"
    return "never" if template.opening(enable_thinking=False) == opening else "optional"
