"""A policy: a model with its tokenizer and chat template, able to generate and to score.

Letters: B rows, T length, D hidden width, V real vocabulary, P padded logit width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.tokenizer_utils import TokenizerWrapper
from pydantic import JsonValue

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.models.kv_cache import Rows, SeparateRows
from OnPolicyDistill.models.layout import architecture_of, body_states, output_head
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import Picture, PictureBook, Sight
from OnPolicyDistill.stopping import check_stop

Message = Mapping[str, JsonValue]

# What templates write around a picture, and for it.
PICTURE_MARKERS = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")


@dataclass(frozen=True, slots=True)
class Policy:
    """A model that can generate and score, and everything that goes with it.

    `name` is what the user called it, `path` the folder it was loaded from. `stop_ids` is every
    end-of-sequence token of generation config, config and tokenizer. `vocab_size` is the
    tokenizer's real size, the largest token id plus one: logits are wider. `fingerprint` changes
    with weights, quantization, adapter, tokenizer and computing type, and keys the teacher cache.
    `sight` is how it reads pictures, None where it reads words alone.
    """

    name: str
    path: Path
    model: nn.Module
    tokenizer: TokenizerWrapper
    chat_template: ChatTemplate
    stop_ids: frozenset[int]
    vocab_size: int
    fingerprint: str
    sight: Sight | None = None


def hidden_states(
    model: nn.Module, tokens: mx.array, cache: Rows | None = None, are_words: bool = False
) -> mx.array:
    """Final normed hidden states, the input of the output head: tokens (B, T) -> (B, T, D).

    Right padding changes nothing at real positions, because attention is causal. With a `cache`
    the tokens continue what it holds, and are added to it. `are_words` promises that none is a
    place of a picture, so that a model that sees need not wait for them to look.

    Raises:
        ModelError: the architecture is not laid out as body and head.
    """
    if isinstance(model, SeeingModel):
        assert not isinstance(cache, SeparateRows), "a model that sees attends in every layer"
        return model.states(tokens, None if cache is None else cache.attention, are_words)
    if cache is None:
        return body_states(model, tokens, None)
    return cache.read(lambda ids, caches: body_states(model, ids, caches), tokens)


def vocabulary_head(policy: Policy) -> VocabularyHead:
    """Return the output projection as plain arrays: tied, untied or quantized, scaled or capped.

    It is compared with the model's own logits on a few tokens, because a family may do more to
    them than is known of it (models/layout.py), which the fused losses would not see.

    Raises:
        ModelError: the head has an adapter, or the family's logits are not what is known of it.
    """
    head = output_head(policy.model, policy.vocab_size)
    if not _gives_own_logits(policy.model, head):
        raise ModelError(
            f"{policy.name} changes its logits after the output head in a way that is not known "
            f"of its architecture {architecture_of(policy.model)}, so exact divergences cannot be "
            "computed from its hidden states.",
            "Use a model of another family: opd models architectures lists those that train.",
        )
    return head


def sampling_head(model: nn.Module, vocab_size: int) -> VocabularyHead | None:
    """The head whose logits are nearer to the model's meaning than the model's own, or None.

    None where the model's own are float32 already, or are no plain projection of its states. A
    model that sees always has one: behind its hidden states nobody need look for pictures.
    """
    try:
        head = output_head(model, vocab_size)
    except ModelError:
        return None
    is_wanted = head.rounds or isinstance(model, SeeingModel)
    return head if is_wanted and _gives_own_logits(model, head) else None


def _gives_own_logits(model: nn.Module, head: VocabularyHead) -> bool:
    """Whether a few tokens get the model's own logits from the head, to its type's rounding."""
    tokens = mx.arange(min(4, head.vocab_size))[None]
    own = model(tokens)[0, :, : head.vocab_size].astype(mx.float32)
    ours = head.logits(hidden_states(model, tokens)[0])
    error = as_float(mx.abs(own - ours).max())
    return error <= 0.02 * max(as_float(mx.abs(own).max()), 1.0)


def encode_prompt(
    policy: Policy, messages: Sequence[Message], tools: Sequence[JsonValue] = ()
) -> list[int]:
    """Token ids of a conversation with the header that opens the assistant's turn.

    `tools` are what the conversation gives the model to call.

    Raises:
        DatasetError: the chat template refuses the messages, for example their order.
    """
    return encode_text(policy, policy.chat_template.render(messages, tools=tools))


def encode_text(policy: Policy, text: str) -> list[int]:
    """Token ids of a text in which special tokens are already written out.

    Raises:
        DatasetError: the model has no embedding of a token in it.
    """
    check_stop()
    ids: list[int] = policy.tokenizer.encode(text, add_special_tokens=False)
    beyond = next((token for token in ids if token >= policy.vocab_size), None)
    if beyond is not None:
        token = policy.tokenizer.convert_ids_to_tokens(beyond)
        raise DatasetError(
            f"The text has the token {token} ({beyond}), of which {policy.name} has no embedding: "
            f"it has {policy.vocab_size:,}.",
            "Leave it out of the text, or enlarge the model's embedding.",
        )
    return ids


def opening_text(policy: Policy) -> str:
    """What a tokenizer puts in front of every text of its own accord, such as `<s>`, or nothing."""
    token, ids = policy.tokenizer.bos_token, policy.tokenizer.encode("")
    return str(token) if ids and ids[0] == policy.tokenizer.bos_token_id else ""


def end_texts(policy: Policy) -> list[str]:
    """The tokens at which a policy stops, as the chat template writes them."""
    texts: list[str] = policy.tokenizer.convert_ids_to_tokens(sorted(policy.stop_ids))
    return texts


def marked(message: Message, mark: str) -> Message:
    """A message in words alone, with a mark where a picture stands.

    For the templates of language models, which know no parts.
    """
    content = message.get("content")
    if not isinstance(content, list):
        return message
    words = (mark if is_picture(part) else content_text([part]) for part in content)
    return {**message, "content": "".join(words)}


def is_picture(part: JsonValue) -> bool:
    """Whether a part of a message stands for a picture."""
    return isinstance(part, dict) and part.get("type") == "image"


def encode_picture_prompt(
    policy: Policy,
    messages: Sequence[Message],
    pictures: Sequence[Picture],
    book: PictureBook,
    tools: Sequence[JsonValue] = (),
) -> tuple[int, ...]:
    """Token ids of a conversation with pictures, and the header that opens the assistant's turn.

    The template writes a placeholder between two markers where a message has a picture; the ids
    of the pictures' places stand in their stead, in order. For a grafted model, whose template is
    that of a language model, they are written before it.

    Raises:
        DatasetError: the template refuses the messages, or writes more or fewer pictures.
    """
    if isinstance(policy.model, SeeingModel) and policy.model.positions == "line":
        messages = [marked(message, "".join(PICTURE_MARKERS)) for message in messages]
    return with_places(policy, encode_prompt(policy, messages, tools), pictures, book)


def with_places(
    policy: Policy, words: Sequence[int], pictures: Sequence[Picture], book: PictureBook
) -> tuple[int, ...]:
    """Put the ids of pictures' places in the stead of placeholders, in order.

    Raises:
        DatasetError: there are more or fewer placeholders than pictures.
    """
    start, pad, end = policy.tokenizer.convert_tokens_to_ids(list(PICTURE_MARKERS))
    pads = [
        place
        for place in range(1, len(words) - 1)
        if policy.sight is not None and tuple(words[place - 1 : place + 2]) == (start, pad, end)
    ]
    if len(pads) != len(pictures):
        raise DatasetError(
            f"The conversation has {len(pictures)} pictures, and as {policy.name} reads it there "
            f"are {len(pads)} places for one.",
            "Give as many pictures as messages name; a model without eyes has no place for any.",
        )
    ids: list[int] = []
    done = 0
    for place, picture in zip(pads, pictures, strict=True):
        ids += [*words[done:place], *book.ids_of(picture)]
        done = place + 1
    return (*ids, *words[done:])


def refuse_different_sight(student: Policy, teacher: Policy) -> None:
    """Refuse a pair that does not read one prompt with pictures alike.

    Raises:
        ModelError: patches, merging, limits of pixels or the assistant's header differ, or one of
            the two does not see.
    """
    for name, mine, theirs in _sights(student, teacher):
        if mine != theirs:
            raise ModelError(
                f"The student {student.name} and the teacher {teacher.name} read pictures "
                f"differently: {name} {mine} and {theirs}.",
                "Use two models of one family, both -Thinking or both -Instruct.",
            )


def _sights(student: Policy, teacher: Policy) -> list[tuple[str, object, object]]:
    """What a pair must agree on, by name, as each of the two has it."""
    mine, theirs = student.sight, teacher.sight
    if mine is None or theirs is None:
        return [("eyes", mine is not None, theirs is not None)]
    openings = student.chat_template.opening(), teacher.chat_template.opening()
    return [
        ("pixels along a patch", mine.patch, theirs.patch),
        ("patches merged", mine.merge, theirs.merge),
        ("fewest pixels", mine.min_pixels, theirs.min_pixels),
        ("most pixels", mine.max_pixels, theirs.max_pixels),
        ("the prompt's end", repr(openings[0]), repr(openings[1])),
    ]


def decode(policy: Policy, token_ids: Sequence[int]) -> str:
    """Text of a completion, without special tokens such as the end-of-sequence token."""
    text: str = policy.tokenizer.decode(list(token_ids), skip_special_tokens=True)
    return text
