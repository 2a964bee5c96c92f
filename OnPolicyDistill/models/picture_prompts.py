"""Messages with pictures in the token ids of whoever reads them: files are opened on the way.

A picture is decoded here for its size and hash; its pixels are decoded again when a tower looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from OnPolicyDistill.datasets.pictures import PictureSource, open_picture
from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.models.loading import find_folder
from OnPolicyDistill.models.policy import Message, Policy, encode_picture_prompt, encode_prompt
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.pictures import FIRST_PICTURE_ID

ADVICE = (
    "Use a model that sees, such as qwen3-vl-4b-thinking or qwen3-vl-30b-a3b-thinking, or leave "
    "the pictures out."
)


def encode_seen(
    policy: Policy, messages: Sequence[Message], sources: Sequence[PictureSource]
) -> tuple[int, ...]:
    """Token ids of a conversation whose messages have a place for each picture of `sources`.

    Raises:
        DatasetError: a picture cannot be read, or the chat template refuses the messages.
        ModelError: there are pictures, and the model reads words alone.
    """
    if not sources:
        return tuple(encode_prompt(policy, messages))
    model, sight = policy.model, policy.sight
    if sight is None or not isinstance(model, SeeingModel):
        raise refused_by(policy.name)
    pictures = [open_picture(source, sight) for source in sources]
    return encode_picture_prompt(policy, messages, pictures, model.book)


def refused_by(name: str) -> ModelError:
    """What is said where a model that reads words alone is shown a picture."""
    return ModelError(f"{name} reads words alone, and there are pictures to see.", ADVICE)


def count_places(token_ids: Sequence[int]) -> int:
    """How many of a prompt's tokens are places of pictures."""
    return sum(token >= FIRST_PICTURE_ID for token in token_ids)


def refuse_blind(names: Iterable[str], sources: Iterable[PictureSource]) -> None:
    """Refuse pictures where a model reads words alone, from files and before any is loaded.

    Raises:
        DatasetError: one does; names the line of the first picture, if it came from a file.
        ModelError: one does, or cannot be found.
    """
    first = next(iter(sources), None)
    if first is None:
        return
    for name in names:
        if "vision_config" in read_json(find_folder(name) / "config.json"):
            continue
        if first.origin is None:
            raise refused_by(name)
        message = f"The line has a picture, and {name} reads words alone."
        raise DatasetError(message, ADVICE, first.origin, first.line)
