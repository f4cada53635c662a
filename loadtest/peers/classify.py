"""A picture's classes with OpenCV and ONNX Runtime: what loop.py and worker.py do with every frame."""

import json
import sys
import time
from pathlib import Path

import cv2
import numpy
import onnxruntime

cv2.setNumThreads(1)


class Classifier:
    def __init__(self, folder):
        card = json.loads((Path(folder) / "card.json").read_text())
        options = onnxruntime.SessionOptions()
        # One thread for each process, as Saccade's workers have one each.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(Path(folder) / "model.onnx"), options, providers=["CPUExecutionProvider"])
        self.input = card["input"]
        self.labels = (Path(folder) / card["labels"]).read_text().splitlines()
        blank = numpy.full((1, self.input["height"], self.input["width"], 3), 127, numpy.uint8)
        for _ in range(10):
            self.run(blank)

    def run(self, pixels):
        return self.session.run(["probabilities"], {self.input["name"]: pixels})[0][0]

    def classify(self, jpeg):
        """Probabilities of a JPEG's centre, resized bilinearly."""
        picture = cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR)
        height, width = picture.shape[:2]
        side = round(min(height, width) * self.input["fit"]["fraction"])
        top, left = (height - side) // 2, (width - side) // 2
        cut = picture[top : top + side, left : left + side]
        small = cv2.resize(cut, (self.input["width"], self.input["height"]), interpolation=cv2.INTER_LINEAR)
        return self.run(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)[None])

    def best(self, jpeg, count=5):
        """The answer of a service: the best classes of a JPEG."""
        probabilities = self.classify(jpeg)
        return {"predictions": [{"label": self.labels[i], "score": round(float(probabilities[i]), 4)} for i in probabilities.argsort()[-count:][::-1]]}


def wait_for_go():
    """All processes of a run begin at once."""
    print("ready", flush=True)
    sys.stdin.readline()


def report(count, started, top):
    print(json.dumps({"count": count, "startedAt": started * 1000, "endedAt": time.time() * 1000, "cpuSeconds": time.process_time() - cpu_at_start, "top": top}), flush=True)


cpu_at_start = 0.0


def start_clock():
    global cpu_at_start
    cpu_at_start = time.process_time()
    return time.time()
