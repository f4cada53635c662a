"""Resized pictures by an independent implementation (Pillow), for test/resample.test.ts to be compared with, bit by bit.

The pictures are made of numbers, so that no decoder takes part. Made with the packages that reference.py names:

    venv/bin/python test/reference/resample.py > test/reference/resample.json
"""
import hashlib
import json

import numpy
import PIL
from PIL import Image

SIZES = [(640, 480), (443, 443), (61, 47), (1, 1), (3000, 1), (9, 200)]
TARGETS = [(224, 224), (416, 416), (320, 240), (7, 5), (1, 1)]


def picture(width, height):
    """Noise by a linear congruential generator (Numerical Recipes' constants), its highest byte; black and white beside each other make it overshoot."""
    values = numpy.empty(width * height * 3, numpy.uint8)
    state = 1
    for i in range(len(values)):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        values[i] = (state >> 24) if i % 5 else (255 if state >> 31 else 0)
    return Image.fromarray(values.reshape(height, width, 3))


def regions(width, height):
    yield 0, 0, width, height
    if width > 8 and height > 8:
        yield width // 8, height // 9, width // 2 + 1, height // 2


def main():
    cases = []
    for size in SIZES:
        whole = picture(*size)
        for left, top, width, height in regions(*size):
            part = whole.crop((left, top, left + width, top + height))
            for target in TARGETS:
                # Pillow begins with the columns where a tall picture becomes a wide one, Saccade always with the rows: another rounding.
                if height > width and target[0] > target[1]:
                    continue
                for name in ("bicubic", "bilinear"):
                    pixels = numpy.asarray(part.resize(target, getattr(Image, name.upper()))).tobytes()
                    cases.append({"picture": size, "region": [left, top, width, height], "to": target, "filter": name, "sha256": hashlib.sha256(pixels).hexdigest()})
    print(json.dumps({"made_with": {"pillow": PIL.__version__, "numpy": numpy.__version__}, "cases": cases}, indent=None).replace('{"picture"', '\n {"picture"'))


if __name__ == "__main__":
    main()
