"""Mosec, the picture as the body. MODEL_FOLDER=… http_mosec.py --port PORT"""

import json
import os

import mosec

import classify


class Classify(mosec.Worker):
    def __init__(self):
        self.model = classify.Classifier(os.environ["MODEL_FOLDER"])

    def deserialize(self, data):
        return data

    def forward(self, data):
        return self.model.best(data)

    def serialize(self, data):
        return json.dumps(data).encode()


if __name__ == "__main__":
    server = mosec.Server()
    server.append_worker(Classify, num=2, route="/infer")
    server.run()
