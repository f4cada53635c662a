"""The bare loop: pictures of a folder through OpenCV and ONNX Runtime. loop.py MODEL_FOLDER PICTURES COUNT"""

import sys
from pathlib import Path

import classify

model = classify.Classifier(sys.argv[1])
pictures = [path.read_bytes() for path in sorted(Path(sys.argv[2]).glob("*.jpg"))]
count = int(sys.argv[3])
classify.wait_for_go()
started = classify.start_clock()
top = []
for i in range(count):
    best = int(model.classify(pictures[i % len(pictures)]).argmax())
    if i < len(pictures):
        top.append(best)
classify.report(count, started, top)
