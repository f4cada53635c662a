"""Faces by an independent implementation, for test/mask.test.ts to be compared with: whole photos, parts of them, mirror images.

Pillow decodes, cuts and resizes, NumPy suppresses, ONNX Runtime's Python package runs the graph. Made with the packages that
reference.py names:

    venv/bin/python test/reference/faces.py > test/reference/faces.json
"""
import json
import platform
from pathlib import Path

import numpy
import onnxruntime
import PIL
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[2]
# Photo, left, top, width, height, mirrored: of several shapes, with the face in the middle, at a border and not at all.
VIEWS = [
    ["astronaut", 0, 0, 512, 512, False],
    ["astronaut", 0, 0, 512, 512, True],
    ["astronaut", 120, 0, 240, 180, False],
    ["astronaut", 40, 20, 400, 300, True],
    ["astronaut", 150, 0, 160, 400, False],
    ["astronaut", 0, 0, 512, 200, False],
    ["astronaut", 100, 30, 130, 160, False],
    ["astronaut", 0, 250, 512, 262, False],
    ["coffee", 0, 0, 600, 400, False],
    ["coffee", 100, 50, 300, 300, True],
    ["chelsea", 0, 0, 451, 300, False],
    ["chelsea", 0, 0, 451, 300, True],
    ["chelsea", 60, 20, 300, 225, False],
]
SCORE = 0.4


def overlap(a, b):
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def main():
    folder = ROOT / "models" / "ultraface" / "1"
    card = json.loads((folder / "card.json").read_text())
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    views = []
    for name, left, top, width, height, mirrored in VIEWS:
        picture = Image.open(ROOT / "media" / f"{name}.jpg").convert("RGB").crop((left, top, left + width, top + height))
        picture = ImageOps.mirror(picture) if mirrored else picture
        tensor = numpy.asarray(picture.resize((card["input"]["width"], card["input"]["height"]), Image.BILINEAR))
        [rows] = session.run(["faces"], {card["input"]["name"]: tensor[None]})
        kept = []
        for row in sorted(rows[0].tolist(), key=lambda r: -r[4]):
            if row[4] < SCORE:
                break
            if all(overlap(k, row) <= card["thresholds"]["iou"] for k in kept):
                kept.append(row)
        faces = [
            {"score": round(row[4], 6), "box": [round(max(0.0, min(1.0, v)) * s, 3) for v, s in zip(row, (width, height) * 2)]}
            for row in kept
        ]
        views.append({"picture": name, "left": left, "top": top, "width": width, "height": height, "mirrored": mirrored, "faces": faces})
    made_with = {"python": platform.python_version(), "onnxruntime": onnxruntime.__version__, "pillow": PIL.__version__, "numpy": numpy.__version__}
    print(json.dumps({"made_with": made_with, "score": SCORE, "views": views}, indent=1))


main()
