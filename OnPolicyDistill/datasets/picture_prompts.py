"""Pictures in lines of data: every layout becomes messages with places, and pictures in order.

A line names its pictures in `images` or `image` (a path beside the file, a list of them, or bytes
in a parquet file), or inside its messages, in OpenAI's form ({"type": "image_url", "image_url":
{"url": ...}}) or Qwen's ({"type": "image", "image": ...}). Where they belong is said by `<image>`
in the words, as GEO3K and LLaVA have it, by parts of messages, or not at all: then they come first.
What comes out are messages whose content is a list of {"type": "image"} and {"type": "text"} parts,
as the chat templates of vision models take them.

Nothing is downloaded: pictures are files here, or data in the line itself.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from pydantic import JsonValue

from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.records import BadLine, Record

MARKER = "<image>"
PICTURE_KEYS = ("images", "image")
# A folder of pictures on Hugging Face's hub has a file of this name whose lines name one each.
FOLDER_FILE, FOLDER_KEY = "metadata.jsonl", "file_name"
MAY_NAME_PICTURES = frozenset((*PICTURE_KEYS, FOLDER_KEY))
MAX_PICTURES = 32
MAX_NAME_CHARACTERS = 4_096
PICTURE_PARTS = ("image", "image_url", "input_image")
SOURCE_KEYS = ("image", "image_url", "url", "path")
ADDRESS = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")
DATA_URI = re.compile(r"^data:(?:image/[\w.+-]+)?(?:;[\w=-]+)*;base64,", re.IGNORECASE)
# A marker at an end of the words or on a line of its own; in the midst it may be talked about.
LOST_MARKER = re.compile(rf"(?:\A|\n)[ \t]*{MARKER}|{MARKER}[ \t]*(?:\Z|\n)")
UNREAD = "unread_picture"

Message = dict[str, JsonValue]
Part = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Pictured:
    """Messages with a place for each picture; without pictures, the messages as they came."""

    messages: tuple[Message, ...]
    pictures: tuple[PictureSource, ...] = ()


class LayoutError(Exception):
    """Why the pictures of a line cannot be used."""

    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(message)
        self.code, self.message, self.fix = code, message, fix

    def at(self, line: int) -> BadLine:
        """The same as a problem of a line."""
        return BadLine(line, self.code, self.message, self.fix)


def place_pictures(record: Record, messages: Sequence[Message]) -> Pictured | BadLine:
    """Find the pictures of a line and their places in its messages, or say what is wrong."""
    if not _may_have_pictures(record) and all(map(_is_plain, messages)):
        return Pictured(tuple(messages))
    try:
        listed = _listed(record)
        if any(is_picture_part(part) for part in _checked(messages)):
            return _inside(record, messages, listed)
        marks = sum(text.count(MARKER) for text in _asked(messages))
        if not listed:
            _refuse_lost_markers(messages)
            return Pictured(tuple(messages))
        if not marks:
            return Pictured(_first(messages, len(listed)), listed)
        _compare(marks, len(listed), MARKER)
        return Pictured(tuple(_at_markers(message) for message in messages), listed)
    except LayoutError as error:
        return error.at(record.line)


def listed_pictures(record: Record) -> tuple[PictureSource, ...] | BadLine:
    """The pictures that a line names beside its words, or what is wrong with them."""
    if not _may_have_pictures(record):
        return ()
    try:
        return _listed(record)
    except LayoutError as error:
        return error.at(record.line)


def picture_keys(record: Record) -> tuple[str, ...]:
    """The keys of a line that name pictures."""
    in_folder = record.origin is not None and record.origin.name == FOLDER_FILE
    named = any(record.values.get(key) is not None for key in PICTURE_KEYS)
    return (*PICTURE_KEYS, FOLDER_KEY) if in_folder and not named else PICTURE_KEYS


def lost_picture(text: str) -> bool:
    """Whether words have a place for a picture where there is none."""
    return LOST_MARKER.search(text) is not None


def is_picture_part(part: Mapping[str, JsonValue]) -> bool:
    """Whether a part of a message's content is a picture, in OpenAI's form or Qwen's."""
    return part.get("type") in PICTURE_PARTS or (
        part.get("type") is None and any(key in part for key in ("image", "image_url"))
    )


def unread_picture(line: int) -> BadLine:
    """What is said of a line with pictures where nobody would look at them."""
    message = "The line has a picture, and this would read its words only."
    fix = "Use a method and a model that see pictures, or take the line out."
    return BadLine(line, UNREAD, message, fix)


def _may_have_pictures(record: Record) -> bool:
    return bool(record.pictures) or not MAY_NAME_PICTURES.isdisjoint(record.values)


def _is_plain(message: Message) -> bool:
    content = message.get("content")
    return isinstance(content, str) and MARKER not in content


def _listed(record: Record) -> tuple[PictureSource, ...]:
    found = list(record.pictures)
    for key in picture_keys(record):
        value = record.values.get(key)
        entries = value if isinstance(value, list) else [] if value is None else [value]
        for entry in entries:
            found.append(_source(record, entry, len(found) + 1, f"{key} is not a list of files."))
    return _bounded(found)


def _bounded(found: Sequence[PictureSource]) -> tuple[PictureSource, ...]:
    if len(found) > MAX_PICTURES:
        message = f"The line has {len(found)} pictures; at most {MAX_PICTURES} are read."
        raise LayoutError("many_pictures", message, "Cut it into several lines.")
    return tuple(found)


def _source(record: Record, value: JsonValue, number: int, otherwise: str) -> PictureSource:
    """A picture by what a line says of it: a path, a data URI, or an object that holds one."""
    if isinstance(value, dict):
        value = next((value[key] for key in SOURCE_KEYS if value.get(key) is not None), None)
    if isinstance(value, dict):  # OpenAI: {"image_url": {"url": ...}}
        value = value.get("url")
    if not isinstance(value, str) or not value.strip():
        raise LayoutError("wrong_type", otherwise, 'Write "images": ["picture.png"].')
    source = PictureSource(f"picture {number}", origin=record.origin, line=record.line)
    if value[:5].lower() == "data:":
        return replace(source, data=_data(value))
    return replace(source, name=value[:200], file=_path(record, value))


def _data(value: str) -> bytes:
    header = DATA_URI.match(value)
    if header is None:
        message = "A picture's data is not in base64."
        raise LayoutError("broken_picture", message, 'Write "data:image/png;base64,...".')
    try:
        return base64.b64decode(value[header.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"A picture's base64 is damaged ({error})."
        raise LayoutError("broken_picture", message, "Write it again.") from error


def _path(record: Record, value: str) -> Path:
    if value.startswith("file://"):
        value = unquote(value.removeprefix("file://").removeprefix("localhost"))
    elif ADDRESS.match(value):
        message = f"The picture {value[:80]} is at an address, and nothing is downloaded."
        raise LayoutError("remote_picture", message, "Download it, and name the file.")
    if len(value) > MAX_NAME_CHARACTERS or "\0" in value:
        message = "The name of a picture is no name of a file."
        fix = 'For the data itself write "data:image/png;base64,...".'
        raise LayoutError("wrong_type", message, fix)
    folder = Path() if record.origin is None else record.origin.parent
    return folder / value


def _inside(
    record: Record, messages: Sequence[Message], listed: tuple[PictureSource, ...]
) -> Pictured:
    """Pictures that stand in the messages; parts that name none take the line's, in order."""
    waiting, found = list(listed), list[PictureSource]()
    bare = sum(is_picture_part(part) and not _names_one(part) for part in _checked(messages))
    _compare(bare, len(listed), '{"type": "image"}')
    placed: list[Message] = []
    for message in messages:
        content = message.get("content")
        parts: list[JsonValue] = []
        for part in _checked([message]):
            if not is_picture_part(part):
                parts.append({"type": "text", "text": part["text"]})
                continue
            parts.append({"type": "image"})
            otherwise = "A picture's part names no file."
            named = _names_one(part)
            number = len(found) + 1
            found.append(_source(record, part, number, otherwise) if named else waiting.pop(0))
        placed.append({**message, "content": parts} if isinstance(content, list) else message)
    return Pictured(tuple(placed), _bounded(found))


def _checked(messages: Sequence[Message]) -> list[Part]:
    """The parts of all messages that have parts; each is a picture or words."""
    contents = (message.get("content") for message in messages)
    checked: list[Part] = []
    for part in (part for parts in contents if isinstance(parts, list) for part in parts):
        is_text = isinstance(part, dict) and isinstance(part.get("text"), str)
        if not isinstance(part, dict) or not (is_picture_part(part) or is_text):
            kind = part.get("type") if isinstance(part, dict) else "without a type"
            message = f"A part of a message is {str(kind)[:40]}, neither words nor a picture."
            raise LayoutError("unknown_part", message, "Take it out.")
        checked.append(part)
    return checked


def _first(messages: Sequence[Message], num_pictures: int) -> tuple[Message, ...]:
    """Put all pictures before the words of the first user's message."""
    placed = [dict(message) for message in messages]
    target = next((found for found in placed if found.get("role") == "user"), None)
    if target is None:
        message = "The line has pictures, but no message of the user that they could stand in."
        raise LayoutError("misplaced_picture", message, "Add the user's message.")
    places: list[JsonValue] = [{"type": "image"} for _ in range(num_pictures)]
    target["content"] = [*places, *_texts(target.get("content"))]
    return tuple(placed)


def _at_markers(message: Message) -> Message:
    """Cut a message's words at their markers; what the assistant says has none."""
    texts = _texts(message.get("content"))
    marked = any(MARKER in str(part["text"]) for part in texts)
    if message.get("role") == "assistant" or not marked:
        return message
    parts: list[JsonValue] = []
    for part in texts:
        pieces = str(part["text"]).split(MARKER)
        for number, piece in enumerate(pieces):
            if number:
                parts.append({"type": "image"})
            # The newline that sets a marker apart belongs to it.
            words = piece.removeprefix("\n") if number else piece
            words = words.removesuffix("\n") if number < len(pieces) - 1 else words
            parts += [{"type": "text", "text": words}] if words else []
    return {**message, "content": parts}


def _refuse_lost_markers(messages: Sequence[Message]) -> None:
    if any(map(lost_picture, _asked(messages))):
        message = f"The words have a place for a picture, {MARKER}, but the line names none."
        raise LayoutError("missing_picture", message, 'Add "images", or take the mark out.')


def _compare(num_places: int, num_pictures: int, place: str) -> None:
    if num_places != num_pictures:
        places = f"{num_places} place{'' if num_places == 1 else 's'} ({place})"
        message = f"The line has {places} for {num_pictures} listed pictures."
        raise LayoutError("picture_count", message, "Give every picture one place.")


def _asked(messages: Sequence[Message]) -> list[str]:
    """The words of all messages but the assistant's."""
    return [
        str(part["text"])
        for message in messages
        if message.get("role") != "assistant"
        for part in _texts(message.get("content"))
    ]


def _texts(content: JsonValue) -> list[Part]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    parts = content if isinstance(content, list) else []
    return [
        {"type": "text", "text": part["text"]}
        for part in parts
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]


def _names_one(part: Mapping[str, JsonValue]) -> bool:
    return any(part.get(key) is not None for key in SOURCE_KEYS)
