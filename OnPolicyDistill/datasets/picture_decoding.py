"""A picture's bytes turned into upright RGB pixels, bounded in bytes, pixels and passes.

What a file is called does not matter: its first bytes say what it is. PNG, JPEG, WebP, BMP and GIF
are read, of moving ones the first frame. The size is taken from the header and refused before a
pixel is decoded. Pillow comes with this module, so it is imported when the first picture is opened.

A camera's EXIF rotation is applied once; what is transparent becomes white; 16 bits a channel are
cut to the upper 8. Colour profiles are not applied, as no vision model's processor applies them.
"""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import (
    DecompressionBombError,
    Image,
    Resampling,
    Transpose,
    alpha_composite,
    fromarray,
    new,
)
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.pictures import Pixels

MAX_PICTURE_PIXELS = 50_000_000
# A progressive JPEG goes over all of its pixels once a scan; those of cameras have about ten.
MAX_JPEG_SCANS = 100
JPEG_SCAN = b"\xff\xda"
EXIF_MARK = b"Exif\0\0"
ORIENTATION, SHORT = 0x0112, 3
SIDEWAYS = (5, 6, 7, 8)
TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
# What Pillow's readers raise for damaged files.
DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    DecompressionBombError,
)


class PlainJpeg(JpegImageFile):
    """A JPEG whose resolution nobody asks for: Pillow would look for it in EXIF, and warn."""

    def _read_dpi_from_exif(self) -> None:
        return


def upright_size(data: bytes) -> tuple[int, int]:
    """Height and width of a picture as one looks at it, from its header alone.

    Raises:
        DatasetError: it is no picture, a damaged one, or too large; without file and line.
    """
    image = _opened(data)
    try:
        turned = _orientation(image, data) in SIDEWAYS
    except DAMAGED as error:
        raise _damaged(error) from error
    wide, tall = image.size
    return (wide, tall) if turned else (tall, wide)


def upright_picture(data: bytes) -> Image:
    """Decode a picture: upright, RGB, on white.

    Raises:
        DatasetError: it is no picture, a damaged one, or too large; without file and line.
    """
    opened = _opened(data)
    try:
        opened.load()
        turn = TURNS.get(_orientation(opened, data))
        plain = _on_white(opened)
    except DAMAGED as error:
        raise _damaged(error) from error
    return plain if turn is None else plain.transpose(turn)


def resized(image: Image, height: int, width: int) -> Pixels:
    """Pixels of a picture at another size, (height, width, 3), as vision models' processors do."""
    return np.asarray(image.resize((width, height), Resampling.BICUBIC), np.uint8)


def _opened(data: bytes) -> ImageFile:
    """Read the header, and refuse what would not be decoded in bounds."""
    if not data:
        raise DatasetError("The picture's file is empty.", "Save it again.")
    canvas = _webp_size(data)
    if canvas is not None:
        _refuse_size(*canvas)
    if data.startswith(b"\xff\xd8") and data.count(JPEG_SCAN) > MAX_JPEG_SCANS:
        message = f"The JPEG has more than {MAX_JPEG_SCANS} scans."
        raise DatasetError(message, "Save it again with an ordinary program.")
    try:
        image = _reader(data)
    except DAMAGED as error:
        raise _damaged(error) from error
    _refuse_size(*image.size)
    return image


def _reader(data: bytes) -> ImageFile:
    """Pillow's reader for the format that the first bytes name.

    `Image.open` would warn of large pictures and try formats that nobody asked for.
    """
    stream = BytesIO(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile(stream)
    if data.startswith(b"\xff\xd8\xff"):
        return PlainJpeg(stream)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile(stream)
    if data.startswith(b"BM"):
        return BmpImageFile(stream)
    if data.startswith((b"GIF87a", b"GIF89a")):
        return GifImageFile(stream)
    raise DatasetError("It is no picture.", "Use PNG, JPEG, WebP, BMP or GIF.")


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP's canvas, whose memory is taken as soon as it is opened."""
    if not (data.startswith(b"RIFF") and data[8:12] == b"WEBP" and len(data) >= 30):
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        wide, tall = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return wide, tall
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    wide, tall = struct.unpack_from("<HH", data, 26)
    return wide & 0x3FFF, tall & 0x3FFF


def _refuse_size(wide: int, tall: int) -> None:
    if min(wide, tall) < 1:
        raise DatasetError("The picture has no pixels.", "Replace it or remove its line.")
    if wide * tall > MAX_PICTURE_PIXELS:
        message = f"The picture has {wide:,} x {tall:,} pixels."
        most = MAX_PICTURE_PIXELS // 1_000_000
        raise DatasetError(message, f"At most {most} million are read: scale it down.")


def _orientation(image: ImageFile, data: bytes) -> int:
    """EXIF's number for how the camera was held; 1, upright, where there is none to be read."""
    if image.format == "PNG" and "exif" not in image.info and b"eXIf" in data:
        image.load()  # the mark may follow the pixels
    exif = image.info.get("exif")
    try:
        return _orientation_of(exif.removeprefix(EXIF_MARK)) if isinstance(exif, bytes) else 1
    except struct.error:
        return 1


def _orientation_of(exif: bytes) -> int:
    """The tag in the first directory of a TIFF header, as CIPA DC-008 has it.

    Pillow's own reader follows every directory and warns of each oddity.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    (start,) = struct.unpack_from(f"{order}I", exif, 4)
    (num_tags,) = struct.unpack_from(f"{order}H", exif, start)
    for number in range(num_tags):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * number)
        if (tag, kind) == (ORIENTATION, SHORT):
            return int(value)
    return 1


def _on_white(image: Image) -> Image:
    """Three channels of 8 bits, transparent places white."""
    if image.mode.startswith("I"):
        return _from_16_bits(image)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = new("RGBA", clear.size, (255, 255, 255, 255))
        return alpha_composite(white, clear).convert("RGB")
    return image.convert("RGB")


def _from_16_bits(image: Image) -> Image:
    """Grey of 16 bits; Pillow's own conversion would cut off what is above 255."""
    deep = np.asarray(image).astype(np.int64).clip(0, 65_535)
    grey = (deep >> 8).astype(np.uint8)
    clear = image.info.get("transparency")
    if isinstance(clear, int):
        grey[deep == clear] = 255
    return fromarray(grey).convert("RGB")


def _damaged(error: Exception) -> DatasetError:
    if isinstance(error, DatasetError):
        return error
    reason = str(error).rstrip(".") or type(error).__name__
    return DatasetError(f"The picture is damaged ({reason}).", "Replace it or remove its line.")
