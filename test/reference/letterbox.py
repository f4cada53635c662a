"""Letterboxed pictures and boxes found in them by an independent implementation, for test/letterbox.test.ts to be compared with.

Pillow decodes, resizes and pads; where the picture goes is worked out as Ultralytics' LetterBox does (ratio, round() of Python,
round(half - 0.1)). The graph is nanodet's, which was trained on stretched pictures but finds its way in padded ones too. Made
with the packages that reference.py names:

    venv/bin/python test/reference/letterbox.py > test/reference/letterbox.json
"""
import hashlib
import json
import platform

import numpy
import onnxruntime
import PIL
from PIL import Image

from agreement import regions
from reference import PICTURES, ROOT, boxes
from resample import picture

SHAPES = [(640, 480), (480, 640), (641, 1280), (61, 47), (1, 1), (3000, 1), (9, 200)]
TARGETS = [(640, 640), (416, 416), (320, 240), (7, 5)]
FITS = [{"pad": 114, "align": "centre"}, {"pad": [124, 116, 104], "align": "centre"}, {"pad": 0, "align": "start"}]


def place(size, target, align):
    """Where the picture goes: left, top, width, height."""
    ratio = min(target[1] / size[1], target[0] / size[0])
    width, height = max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
    if align == "start":
        return 0, 0, width, height
    return round((target[0] - width) / 2 - 0.1), round((target[1] - height) / 2 - 0.1), width, height


def letterboxed(image, target, fit):
    left, top, width, height = place(image.size, target, fit["align"])
    pad = fit["pad"] if isinstance(fit["pad"], list) else [fit["pad"]] * 3
    padded = Image.new("RGB", target, tuple(pad))
    padded.paste(image.resize((width, height), Image.BILINEAR), (left, top))
    return numpy.asarray(padded)


def tensors():
    for size in SHAPES:
        whole = picture(*size)
        for target in TARGETS:
            # Columns that would round to none are made one: Pillow then begins with the columns, Saccade always with the rows.
            if round(size[0] * min(target[1] / size[1], target[0] / size[0])) == 0:
                continue
            for fit in FITS:
                pixels = letterboxed(whole, target, fit)
                yield {"picture": size, "to": target, "fit": fit, "place": place(size, target, fit["align"]), "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}


def detections():
    card = json.loads((ROOT / "models/nanodet/1/card.json").read_text())
    session = onnxruntime.InferenceSession(ROOT / "models/nanodet/1/model.onnx", providers=["CPUExecutionProvider"])
    target = card["input"]["width"], card["input"]["height"]
    for name in PICTURES:
        whole = Image.open(ROOT / "media" / f"{name}.jpg").convert("RGB")
        for i, (left, top, width, height) in enumerate(regions(*whole.size)):
            if i % 3:
                continue
            # Wide, tall, and as it is: padding above, beside, and hardly any.
            width, height = [(width, height // 2), (width // 2, height), (width, height)][i // 3 % 3]
            part = whole.crop((left, top, left + width, top + height))
            for fit in FITS:
                (rows,) = session.run(["detections"], {card["input"]["name"]: letterboxed(part, target, fit)[None]})
                x, y, w, h = place(part.size, target, fit["align"])
                found = rows[0].copy()
                found[:, 0:4:2] = (found[:, 0:4:2] * target[0] - x) / w
                found[:, 1:4:2] = (found[:, 1:4:2] * target[1] - y) / h
                yield {"photo": name, "region": [left, top, width, height], "fit": fit, "boxes": boxes(found, card, part)}


if __name__ == "__main__":
    made_with = {"python": platform.python_version(), "onnxruntime": onnxruntime.__version__, "pillow": PIL.__version__, "numpy": numpy.__version__}
    print(json.dumps({"made_with": made_with, "tensors": list(tensors()), "parts": list(detections())}).replace('{"picture"', '\n {"picture"').replace('{"photo"', '\n {"photo"'))
