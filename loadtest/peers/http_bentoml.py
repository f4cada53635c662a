"""BentoML, the picture as the body. MODEL_FOLDER=… bentoml serve http_bentoml:Infer --port PORT"""

import os
from pathlib import Path
from typing import Annotated

import bentoml

import classify


@bentoml.service(workers=2, logging={"access": {"enabled": False}})
class Infer:
    def __init__(self):
        self.model = classify.Classifier(os.environ["MODEL_FOLDER"])

    # Its way to take a body as it is: a file that it writes.
    @bentoml.api(route="/infer")
    def infer(self, image: Annotated[Path, bentoml.validators.ContentType("image/jpeg")], /) -> dict:
        return self.model.best(image.read_bytes())
