"""Pictures of any kind become the same upright pixels; what cannot be read is named by its line."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from OnPolicyDistill.datasets import picture_decoding
from OnPolicyDistill.datasets.picture_decoding import MAX_JPEG_SCANS, upright_picture, upright_size
from OnPolicyDistill.datasets.pictures import (
    THUMBNAIL_SIDE,
    PictureSource,
    open_picture,
    picture_size,
    seen_picture,
    thumbnail,
)
from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT
from OnPolicyDistill.errors import DatasetError

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
WIDE, TALL = 40, 20


def halves() -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", (WIDE, TALL), RED)
    image.paste(BLUE, (WIDE // 2, 0, WIDE, TALL))
    return image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def corners(data: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    image = upright_picture(data)
    assert image.mode == "RGB"
    return image.getpixel((2, 2)), image.getpixel((image.width - 3, image.height - 3))


def near(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= 12


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_with_size(wide: int, tall: int, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", wide, tall, 8, 2, 0, 0, 0))
    body = zlib.compress(b"\0" * 100)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IDAT", body)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_every_format_is_read_by_its_content(kind):
    data = saved(halves(), kind)
    assert upright_size(data) == (TALL, WIDE)
    left, right = corners(data)
    assert near(left, RED)
    assert near(right, BLUE)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_a_moving_picture_the_first_frame_is_seen(kind):
    frames = [halves(), Image.new("RGB", (WIDE, TALL), WHITE)]
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
    left, right = corners(data)
    assert near(left, RED)
    assert near(right, BLUE)


def rotated(number: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    return saved(halves(), kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("number", "size", "first", "last"),
    [
        (1, (TALL, WIDE), RED, BLUE),
        (2, (TALL, WIDE), BLUE, RED),
        (3, (TALL, WIDE), BLUE, RED),
        (4, (TALL, WIDE), RED, BLUE),
        (5, (WIDE, TALL), RED, BLUE),
        (6, (WIDE, TALL), RED, BLUE),
        (7, (WIDE, TALL), BLUE, RED),
        (8, (WIDE, TALL), BLUE, RED),
    ],
)
def test_a_camera_held_in_any_of_eight_ways_gives_an_upright_picture(
    kind, number, size, first, last
):
    data = rotated(number, kind)
    assert upright_size(data) == size
    image = upright_picture(data)
    assert (image.height, image.width) == size
    found = corners(data)
    assert near(found[0], first)
    assert near(found[1], last)


def test_a_picture_that_is_saved_upright_is_not_turned_again():
    once = upright_picture(rotated(6, "PNG"))
    assert np.array_equal(np.asarray(upright_picture(saved(once, "PNG"))), np.asarray(once))


def test_exif_that_cannot_be_read_leaves_the_picture_as_it_is():
    data = saved(halves(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert upright_size(data) == (TALL, WIDE)
    assert near(corners(data)[0], RED)


def clear_of(mode: str) -> bytes:
    """A picture of which the left half is transparent and the right half blue or black."""
    if mode == "P":
        indexed = Image.new("P", (WIDE, TALL), 0)
        indexed.putpalette([*RED, *BLUE])
        indexed.paste(1, (WIDE // 2, 0, WIDE, TALL))
        return saved(indexed, "PNG", transparency=0)
    clear = halves().convert("RGBA")
    clear.putalpha(Image.new("L", (WIDE, TALL), 255))
    clear.paste((255, 0, 0, 0), (0, 0, WIDE // 2, TALL))
    if mode == "LA":
        clear = clear.convert("LA")
    if mode == "RGB":
        return saved(halves(), "PNG", transparency=RED)
    return saved(clear, "PNG")


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "RGB"])
def test_what_is_transparent_becomes_white(mode):
    left, right = corners(clear_of(mode))
    assert left == WHITE
    assert right != WHITE


def test_palettes_grey_and_one_bit_become_three_channels():
    palette = saved(halves().convert("P"), "PNG")
    assert near(corners(palette)[0], RED)
    grey = Image.new("L", (WIDE, TALL), 77)
    assert corners(saved(grey, "PNG"))[0] == (77, 77, 77)
    bits = Image.new("1", (WIDE, TALL), 1)
    assert corners(saved(bits, "PNG"))[0] == WHITE


def test_a_cmyk_picture_keeps_its_colours():
    left, right = corners(saved(halves().convert("CMYK"), "JPEG", quality=95))
    assert near(left, (254, 0, 0))
    assert near(right, (0, 0, 254))


def test_grey_of_16_bits_is_scaled_and_not_cut_off():
    deep = np.full((TALL, WIDE), 0x4D00, np.uint16)
    deep[:, WIDE // 2 :] = 0xFFFF
    left, right = corners(saved(Image.fromarray(deep), "PNG"))
    assert left == (0x4D,) * 3
    assert right == WHITE


def test_colours_of_16_bits_lose_their_lower_half():
    row = struct.pack(">HHH", 0x4D12, 0x0034, 0xFF56) * 4
    body = zlib.compress((b"\0" + row) * 4)
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")
    assert upright_picture(data).getpixel((1, 1)) == (0x4D, 0, 0xFF)


def webp_with_size(wide: int, tall: int) -> bytes:
    body = bytes(4) + (wide - 1).to_bytes(3, "little") + (tall - 1).to_bytes(3, "little")
    chunk = b"VP8X" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + b"WEBP" + chunk


BMP_HEADER = struct.pack(
    "<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 1, 1, 0, 0
)


@pytest.mark.parametrize(
    "data",
    [
        png_with_size(60_000, 60_000),
        png_with_size(2**31 - 1, 2**31 - 1),
        webp_with_size(16_000, 16_000),
        b"GIF89a" + struct.pack("<HHBBB", 60_000, 60_000, 0, 0, 0),
        b"BM" + BMP_HEADER,
    ],
    ids=["png", "huge png", "webp", "gif", "bmp"],
)
def test_a_bomb_is_refused_by_its_header(data, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(DatasetError, match=r"pixels|damaged"):
        upright_picture(data)


JPEG_WITHOUT_LINES = saved(halves(), "JPEG").replace(
    b"\x08" + struct.pack(">HH", TALL, WIDE), b"\x08" + struct.pack(">HH", 0, WIDE)
)


@pytest.mark.parametrize(
    "data",
    [
        png_with_size(0, 0),
        png_with_size(5, 0),
        b"GIF89a" + struct.pack("<HHBBB", 0, 0, 0, 0, 0),
        b"BM" + BMP_HEADER.replace(struct.pack("<i", 30_000), struct.pack("<i", 0)),
        JPEG_WITHOUT_LINES,
    ],
    ids=["png", "flat png", "gif", "bmp", "jpeg"],
)
def test_a_picture_without_pixels_is_refused(data):
    for look in (upright_size, upright_picture):
        with pytest.raises(DatasetError, match=r"no pixels|damaged"):
            look(data)


def test_the_size_in_the_header_decides_before_anything_is_decoded(monkeypatch):
    monkeypatch.setattr(picture_decoding, "MAX_PICTURE_PIXELS", WIDE * TALL)
    data = saved(halves(), "PNG")
    assert upright_size(data) == (TALL, WIDE)
    monkeypatch.setattr(picture_decoding, "MAX_PICTURE_PIXELS", WIDE * TALL - 1)
    with pytest.raises(DatasetError, match=r"40 x 20 pixels"):
        upright_size(data)


def test_a_png_whose_texts_unpack_to_gigabytes_is_refused():
    packed = zlib.compress(b"\0" * 20_000_000)
    texts = [png_chunk(b"zTXt", f"k{n}".encode() + b"\0\0" + packed) for n in range(8)]
    with pytest.raises(DatasetError, match="damaged"):
        upright_picture(png_with_size(4, 4, *texts))


def test_a_jpeg_of_endless_scans_is_refused():
    data = saved(halves(), "JPEG")
    end = data.index(b"\xff\xda")
    bomb = data[:end] + data[end:-2] * (MAX_JPEG_SCANS + 1) + data[-2:]
    with pytest.raises(DatasetError, match="scans"):
        upright_size(bomb)
    upright_picture(saved(halves(), "JPEG", progressive=True))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_damaged_and_never_half_a_picture(kind, share):
    noise = np.random.default_rng(0).integers(0, 255, (TALL, WIDE, 3), np.uint8)
    data = saved(Image.fromarray(noise), kind)
    with pytest.raises(DatasetError, match=r"damaged|no picture"):
        upright_picture(data[: round(len(data) * share)])


@pytest.mark.parametrize("seed", range(40))
def test_bytes_turned_at_random_are_a_picture_or_a_named_error(seed):
    rng = np.random.default_rng(seed)
    kind = ["PNG", "JPEG", "WEBP", "BMP", "GIF"][seed % 5]
    data = bytearray(saved(halves(), kind))
    for place in rng.integers(0, len(data), 6):
        data[place] = int(rng.integers(0, 256))
    with suppress(DatasetError):
        assert upright_picture(bytes(data)).mode == "RGB"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("text.png", b"no picture at all", "It is no picture"),
        ("empty.png", b"", "is empty"),
        ("page.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "It is no picture"),
        ("scan.tiff", saved(halves(), "TIFF"), "It is no picture"),
    ],
)
def test_what_is_no_picture_is_named_with_file_and_line(name, content, told, tmp_path):
    (tmp_path / name).write_bytes(content)
    source = PictureSource(name, tmp_path / name, origin=tmp_path / "set.jsonl", line=7)
    for look in (picture_size, seen_picture, thumbnail):
        with pytest.raises(DatasetError, match=rf"set\.jsonl, line 7: {name}: .*{told}") as caught:
            look(source)
        assert (caught.value.path, caught.value.line) == (source.origin, 7)


def test_a_wrong_ending_does_not_matter(tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(saved(halves(), "JPEG"))
    assert picture_size(PictureSource.of_file(file)) == (TALL, WIDE)


def test_folders_missing_files_pipes_and_loops_are_refused_and_links_followed(tmp_path):
    (tmp_path / "real.png").write_bytes(saved(halves(), "PNG"))
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert picture_size(PictureSource.of_file(tmp_path / "link.png")) == (TALL, WIDE)
    told = {"dangling.png": "no such", "loop.png": "cannot be read", "pipe.png": "no regular"}
    for name, message in {**told, "gone.png": "no such", ".": "a folder", "a\0b": "cannot"}.items():
        with pytest.raises(DatasetError, match=message):
            picture_size(PictureSource.of_file(tmp_path / name))


def test_a_file_of_too_many_bytes_is_not_read(tmp_path):
    file = tmp_path / "huge.png"
    with file.open("wb") as stream:
        stream.truncate(300_000_000)  # takes no room on the disk
    with pytest.raises(DatasetError, match="more than 256 MB"):
        picture_size(PictureSource.of_file(file))


def test_an_opened_picture_has_the_targets_size_and_its_pixels_on_demand():
    source = PictureSource("halves", data=saved(halves().resize((640, 320)), "PNG"))
    picture = open_picture(source, DEFAULT_SIGHT)
    assert (picture.height, picture.width) == DEFAULT_SIGHT.target_size(320, 640)
    assert picture.num_places == DEFAULT_SIGHT.num_places(320, 640)
    pixels = picture.pixels()
    assert (pixels.dtype, pixels.shape) == (np.uint8, (picture.height, picture.width, 3))
    assert tuple(pixels[4, 4]) == RED
    assert tuple(pixels[4, -4]) == BLUE


def test_the_digest_is_of_pixels_and_target_and_not_of_the_file():
    image = halves().resize((640, 320))
    png = PictureSource("a", data=saved(image, "PNG"))
    bmp = PictureSource("b", data=saved(image, "BMP"))
    other = image.copy()
    other.putpixel((5, 5), (254, 0, 0))
    changed = PictureSource("c", data=saved(other, "PNG"))
    one, two, three = (open_picture(source, DEFAULT_SIGHT).digest for source in (png, bmp, changed))
    assert one == two != three
    assert seen_picture(png) == seen_picture(bmp) != seen_picture(changed)
    small = open_picture(png, type(DEFAULT_SIGHT)(16, 2, (0.5,) * 3, (0.5,) * 3, 1024, 65_536))
    assert small.digest != one


def test_a_picture_that_changed_since_it_was_opened_is_refused(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(saved(halves(), "PNG"))
    picture = open_picture(PictureSource.of_file(file), DEFAULT_SIGHT)
    picture.pixels()
    file.write_bytes(saved(Image.new("RGB", (WIDE, TALL), WHITE), "PNG"))
    with pytest.raises(DatasetError, match="another picture"):
        picture.pixels()


def test_a_picture_that_is_a_line_is_refused_by_name():
    thin = PictureSource("thin.png", data=saved(Image.new("RGB", (500, 1)), "PNG"), line=3)
    with pytest.raises(DatasetError, match=r"thin\.png: .*200 times"):
        open_picture(thin, DEFAULT_SIGHT)


def test_a_thumbnail_is_a_small_png_without_anything_that_the_file_hid():
    info = PngImagePlugin.PngInfo()
    info.add_text("secret", "where it was taken")
    data = saved(halves().resize((1000, 500)), "PNG", pnginfo=info)
    small = thumbnail(PictureSource("a", data=data))
    image = Image.open(BytesIO(small))
    assert (image.format, image.size) == ("PNG", (THUMBNAIL_SIDE, THUMBNAIL_SIDE // 2))
    assert b"secret" not in small
    assert image.info == {}


def test_what_meets_no_picture_loads_neither_pillow_nor_numpy():
    code = (
        "import sys; import OnPolicyDistill.datasets.kinds, OnPolicyDistill.datasets.pictures; "
        "sys.exit(any(name.split('.')[0] in ('PIL', 'numpy', 'pyarrow') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
