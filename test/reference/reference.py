"""Answers of an independent implementation, for test/infer.test.ts to be compared with.

Pillow decodes and resizes, NumPy does the post-processing, ONNX Runtime's Python package runs the graphs: nothing of
Saccade's own code takes part. Made with (see "made_with" in the output):

    python3 -m venv venv && venv/bin/pip install onnxruntime==1.30.0 pillow==13.0.0 numpy==2.4.6
    venv/bin/python test/reference/reference.py > test/reference/reference.json

Classification: centre square of 0.875 of the shorter side, bicubic (the published evaluation of EfficientNet-Lite).
Detection and faces: the whole picture stretched to the input, bilinear (what both networks were trained with).
"""
import json
import platform
from pathlib import Path

import numpy
import onnxruntime
import PIL
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ["astronaut", "coffee", "chelsea"]
MODELS = ["efficientnet-lite0/1", "efficientnet-lite0/2", "nanodet/1", "ultraface/1"]


def pixels(picture, card):
    width, height = picture.size
    size = (card["input"]["width"], card["input"]["height"])
    fit = card["input"]["fit"]
    if fit["mode"] == "stretch":
        return numpy.asarray(picture.resize(size, Image.BILINEAR))
    # Halves go up, as in the card's definition; Python's own round() would send them to the even number.
    half_up = lambda value: int(value + 0.5)
    side = half_up(min(width, height) * fit["fraction"])
    left, top = half_up((width - side) / 2), half_up((height - side) / 2)
    return numpy.asarray(picture.crop((left, top, left + side, top + side)).resize(size, Image.BICUBIC))


def overlap(a, b):
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def boxes(rows, card, picture):
    """Greedy suppression within a class; corners in pixels of the picture."""
    width, height = picture.size
    kept = []
    for row in sorted(rows.tolist(), key=lambda r: -r[4]):
        row = row if len(row) == 6 else [*row, 0]
        if row[4] < card["thresholds"]["score"]:
            break
        if all(k[5] != row[5] or overlap(k, row) <= card["thresholds"]["iou"] for k in kept):
            kept.append(row)
    return [
        {
            "class_id": int(c),
            "score": round(score, 6),
            "box": [round(max(0.0, min(1.0, v)) * s, 3) for v, s in zip((x1, y1, x2, y2), (width, height) * 2)],
        }
        for x1, y1, x2, y2, score, c in kept
    ]


def main():
    answers = {}
    for model in MODELS:
        card = json.loads((ROOT / "models" / model / "card.json").read_text())
        session = onnxruntime.InferenceSession(ROOT / "models" / model / "model.onnx", providers=["CPUExecutionProvider"])
        answers[model] = {}
        for name in PICTURES:
            picture = Image.open(ROOT / "media" / f"{name}.jpg").convert("RGB")
            outputs = session.run(None, {card["input"]["name"]: pixels(picture, card)[None]})
            named = dict(zip((o.name for o in session.get_outputs()), (o[0] for o in outputs)))
            if card["task"] == "classification":
                scores = named["probabilities"]
                best = numpy.argsort(-scores, kind="stable")[: card["thresholds"]["top"]]
                answers[model][name] = {
                    "labels": [{"class_id": int(i), "score": round(float(scores[i]), 6)} for i in best],
                    "embedding": [round(float(v), 5) for v in named["embedding"][:16]],
                }
            else:
                rows = named["detections" if card["task"] == "detection" else "faces"]
                answers[model][name] = {"detections": boxes(rows, card, picture)}
    made_with = {
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "pillow": PIL.__version__,
        "numpy": numpy.__version__,
    }
    print(json.dumps({"made_with": made_with, "answers": answers}, indent=1))


if __name__ == "__main__":
    main()
