"""Rewrites a picture with a palette of 256 colours, which halves it and is not seen."""

import sys

from PIL import Image

with Image.open(sys.argv[1]) as picture:
    small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
small.save(sys.argv[1], optimize=True)
