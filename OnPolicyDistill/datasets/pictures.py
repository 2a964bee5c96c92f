"""Pictures of a data set: where their bytes lie, how large they are, and their pixels on demand.

A set may have thousands; what is kept of each is a hash and a size. `open_picture` decodes once,
and `Picture.pixels` again whenever a tower looks. Pillow and numpy come with the first picture.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from OnPolicyDistill.errors import DatasetError

if TYPE_CHECKING:
    from PIL.Image import Image

    from OnPolicyDistill.pictures import Picture, Pixels, Sight

THUMBNAIL_SIDE = 256
DIGEST_BYTES = 16
MAX_FILE_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class PictureSource:
    """Where a picture's bytes are: in a file, or in `data` that stood in the set itself.

    `origin` and `line` are the file and line that named it, for errors.
    """

    name: str
    file: Path | None = None
    data: bytes = field(default=b"", repr=False)
    origin: Path | None = None
    line: int | None = None

    @classmethod
    def of_file(cls, file: Path) -> PictureSource:
        """A picture that no set names, such as one that a user picked."""
        return cls(str(file), file)

    @property
    def key(self) -> str:
        """Equal for pictures of one file, or of equal bytes."""
        if self.file is not None:
            return f"file {self.file}"
        return f"bytes {hashlib.blake2b(self.data, digest_size=DIGEST_BYTES).hexdigest()}"

    def state(self) -> str:
        """The key with the file's time and size: equal as long as nobody wrote to it."""
        if self.file is None:
            return self.key
        try:
            about = self.file.stat()
        except (OSError, ValueError):
            return self.key
        return f"{self.key} {about.st_mtime_ns} {about.st_size}"

    def read(self) -> bytes:
        """The picture's bytes, as they are stored.

        Raises:
            DatasetError: there is no such file, or none that is read.
        """
        with named(self):
            if self.file is None:
                _refuse_bytes(len(self.data))
                return self.data
            return _read_file(self.file)


@contextmanager
def named(source: PictureSource) -> Iterator[None]:
    """Tell which picture of which line an error is about."""
    try:
        yield
    except DatasetError as error:
        if error.path is not None:
            raise
        message = f"{source.name}: {error.message}"
        raise DatasetError(message, error.action, source.origin, source.line) from error


def picture_size(source: PictureSource) -> tuple[int, int]:
    """Height and width of a picture held upright, from its header.

    Raises:
        DatasetError: it is no picture, a damaged one, or too large; names file and line.
    """
    from OnPolicyDistill.datasets.picture_decoding import upright_size  # noqa: PLC0415

    data = source.read()
    with named(source):
        return upright_size(data)


def seen_picture(source: PictureSource) -> tuple[str, int, int]:
    """A hash of the upright pixels, height and width: decoded whole, and nothing kept.

    Raises:
        DatasetError: it is no picture, a damaged one, or too large; names file and line.
    """
    image = _decoded(source)
    return _digest_of(image), image.height, image.width


def open_picture(source: PictureSource, sight: Sight) -> Picture:
    """Find out what a model needs to know of a picture; its pixels are decoded again when asked.

    Raises:
        DatasetError: it is no picture, a damaged one, too large or too long; names file and line.
    """
    from OnPolicyDistill.pictures import Picture  # noqa: PLC0415

    image = _decoded(source)
    digest = _digest_of(image)
    with named(source):
        height, width = sight.target_size(image.height, image.width)
    num_places = (height // sight.place_size) * (width // sight.place_size)
    pixels = partial(_pixels, source, digest, (height, width))
    marked = hashlib.blake2b(f"{digest} {height} {width}".encode(), digest_size=DIGEST_BYTES)
    return Picture(marked.hexdigest(), height, width, num_places, pixels)


def thumbnail(source: PictureSource) -> bytes:
    """A small PNG of a picture, drawn anew: nothing of the file itself but how it looks.

    Raises:
        DatasetError: it is no picture, a damaged one, or too large; names file and line.
    """
    return _small_png(_decoded(source))


def small_copy(pixels: Pixels) -> bytes:
    """A small PNG of pixels (height, width, 3)."""
    from PIL import Image  # noqa: PLC0415

    return _small_png(Image.fromarray(pixels))


def _small_png(image: Image) -> bytes:
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    stream = BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _pixels(source: PictureSource, digest: str, size: tuple[int, int]) -> Pixels:
    """Decode again and resize, (height, width, 3)."""
    from OnPolicyDistill.datasets.picture_decoding import resized  # noqa: PLC0415

    image = _decoded(source)
    if _digest_of(image) != digest:
        message = f"{source.name} is another picture than when the run opened it."
        raise DatasetError(message, "Put the first one back.", source.origin, source.line)
    return resized(image, *size)


def _decoded(source: PictureSource) -> Image:
    from OnPolicyDistill.datasets.picture_decoding import upright_picture  # noqa: PLC0415

    data = source.read()
    with named(source):
        return upright_picture(data)


def _digest_of(image: Image) -> str:
    digest = hashlib.blake2b(f"{image.width} {image.height} ".encode(), digest_size=DIGEST_BYTES)
    digest.update(image.tobytes())
    return digest.hexdigest()


def _read_file(file: Path) -> bytes:
    try:
        about = file.stat()
        if not stat.S_ISREG(about.st_mode):
            kind = "a folder" if stat.S_ISDIR(about.st_mode) else "no regular file"
            raise DatasetError(f"It is {kind}.", "Name the file of a picture.")
        _refuse_bytes(about.st_size)
        with file.open("rb") as stream:
            return stream.read(MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise DatasetError("There is no such picture.", "Paths start at the file.") from error
    except (OSError, ValueError) as error:
        raise DatasetError(f"It cannot be read ({error}).", "Check its name and rights.") from error


def _refuse_bytes(num_bytes: int) -> None:
    if num_bytes > MAX_FILE_BYTES:
        most = MAX_FILE_BYTES // 1_000_000
        raise DatasetError(f"It has more than {most} MB.", "Save it smaller.")
