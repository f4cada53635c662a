"""Best classes and boxes of an independent implementation on many parts of the photos, for test/agreement.test.ts.

Everything is done as in reference.py, whose functions it uses. A part is cut from the decoded photo. Made with the packages
that reference.py names:

    venv/bin/python test/reference/agreement.py > test/reference/agreement.json
"""
import json
import platform

import numpy
import onnxruntime
import PIL
from PIL import Image

from reference import PICTURES, ROOT, boxes, pixels

PARTS = 20


def regions(width, height):
    """From a half to nearly all of it, here and there."""
    for i in range(PARTS):
        share = 0.5 + i * 0.49 / PARTS
        part = int(width * share), int(height * share)
        yield (width - part[0]) * (i % 5) // 4, (height - part[1]) * (i % 7) // 6, *part


def main():
    answers = []
    sessions = {}
    for model in ["efficientnet-lite0/1", "efficientnet-lite0/2", "nanodet/1"]:
        card = json.loads((ROOT / "models" / model / "card.json").read_text())
        sessions[model] = card, onnxruntime.InferenceSession(ROOT / "models" / model / "model.onnx", providers=["CPUExecutionProvider"])
    for name in PICTURES:
        whole = Image.open(ROOT / "media" / f"{name}.jpg").convert("RGB")
        for left, top, width, height in regions(*whole.size):
            part = whole.crop((left, top, left + width, top + height))
            found = {}
            for model, (card, session) in sessions.items():
                output = "probabilities" if card["task"] == "classification" else "detections"
                (rows,) = session.run([output], {card["input"]["name"]: pixels(part, card)[None]})
                found[model] = int(numpy.argmax(rows[0])) if card["task"] == "classification" else boxes(rows[0], card, part)
            answers.append({"photo": name, "region": [left, top, width, height], "answers": found})
    made_with = {"python": platform.python_version(), "onnxruntime": onnxruntime.__version__, "pillow": PIL.__version__, "numpy": numpy.__version__}
    print(json.dumps({"made_with": made_with, "parts": answers}).replace('{"photo"', '\n {"photo"'))


if __name__ == "__main__":
    main()
