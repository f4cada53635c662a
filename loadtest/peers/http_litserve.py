"""LitServe, the picture as the body. MODEL_FOLDER=… http_litserve.py PORT"""

import os
import sys
from typing import Annotated

import fastapi
import litserve

import classify


async def body_of(request: fastapi.Request):
    return await request.body()


class Infer(litserve.LitAPI):
    def setup(self, device):
        self.model = classify.Classifier(os.environ["MODEL_FOLDER"])

    def decode_request(self, request: Annotated[bytes, fastapi.Depends(body_of)]):
        return request

    def predict(self, jpeg):
        return self.model.best(jpeg)

    def encode_response(self, output):
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Infer(api_path="/infer"), accelerator="cpu", workers_per_device=2, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning", access_log=False)
