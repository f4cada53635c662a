"""What the client of the Open Inference Protocol from PyPI sees, as JSON: triton_client.py HOST:PORT MEDIA-FOLDER"""

import json
import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

address, media = sys.argv[1:3]
client = http.InferenceServerClient(url=address, concurrency=4)
pictures = [open(f"{media}/{name}.jpg", "rb").read() for name in ("coffee", "astronaut")]


def ask(model, *, version="", binary=True, outputs=None, shape=(2,), **more):
    image = http.InferInput("image", list(shape), "BYTES")
    image.set_data_from_numpy(np.array(pictures, dtype=np.object_).reshape(shape), binary_data=True)
    wanted = outputs and [http.InferRequestedOutput(name, binary_data=binary) for name in outputs]
    return client.infer(model, [image], model_version=version, outputs=wanted, request_id="mine", **more)


def refusal(call):
    try:
        call()
        return None
    except InferenceServerException as error:
        return error.message()


classified = ask("efficientnet-lite0")
gzipped = ask("efficientnet-lite0", request_compression_algorithm="gzip", response_compression_algorithm="gzip")
detected = ask("nanodet", version="1", shape=(2, 1), outputs=["counts", "labels", "boxes", "scores", "class_ids"])
as_json = ask("nanodet", binary=False, outputs=["counts", "labels"])
several = [client.async_infer("efficientnet-lite0", [image]) for image in [http.InferInput("image", [1], "BYTES")] if image.set_data_from_numpy(np.array(pictures[:1], dtype=np.object_))]
raw = http.InferInput("image", [1, 224, 224, 3], "UINT8")
raw.set_data_from_numpy(np.zeros((1, 224, 224, 3), dtype=np.uint8))

in_region = http.InferInput("image", [1], "BYTES")
in_region.set_shared_memory("region", 100)
out_region = http.InferRequestedOutput("labels")
out_region.set_shared_memory("region", 100)

print(json.dumps({
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model_ready": client.is_model_ready("nanodet"),
    "other_version_ready": client.is_model_ready("nanodet", "7"),
    "server": client.get_server_metadata(),
    "model": client.get_model_metadata("nanodet"),
    "labels": [row[0].decode() for row in classified.as_numpy("labels")],
    "scores": classified.as_numpy("scores").dtype.name,
    "same_gzipped": bool((gzipped.as_numpy("scores") == classified.as_numpy("scores")).all()),
    "id": classified.get_response()["id"],
    "counts": detected.as_numpy("counts").tolist(),
    "found": [label.decode() for label in detected.as_numpy("labels")[1]],
    "boxes": detected.as_numpy("boxes").shape,
    "json_counts": as_json.as_numpy("counts").tolist(),
    "asynchronous": [one.get_result().as_numpy("labels")[0][0].decode() for one in several],
    "pixels": list(client.infer("efficientnet-lite0", [raw]).as_numpy("scores").shape),
    "unknown": refusal(lambda: ask("resnet")),
    "wrong_output": refusal(lambda: ask("nanodet", outputs=["logits"])),
    "config": refusal(lambda: client.get_model_config("nanodet")),
    "statistics": refusal(lambda: client.get_inference_statistics("nanodet", "1")),
    "index": refusal(lambda: client.get_model_repository_index()),
    "register": refusal(lambda: client.register_system_shared_memory("region", "/region", 100)),
    "shared_memory": refusal(lambda: client.get_system_shared_memory_status()),
    "input_region": refusal(lambda: client.infer("nanodet", [in_region])),
    "output_region": refusal(lambda: client.infer("efficientnet-lite0", [raw], outputs=[out_region])),
    "patient": refusal(lambda: ask("nanodet", timeout=60_000_000, priority=1)),
    "impatient": refusal(lambda: ask("nanodet", timeout=1)),
    "sequence": refusal(lambda: ask("nanodet", sequence_id=7, sequence_start=True)),
}))
