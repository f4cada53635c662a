"""FastAPI, the picture as the body. MODEL_FOLDER=… uvicorn http_fastapi:app --workers 2 --port PORT"""

import os

import fastapi

import classify

model = classify.Classifier(os.environ["MODEL_FOLDER"])
app = fastapi.FastAPI()


@app.post("/infer")
async def infer(request: fastapi.Request):
    # On the event loop: with a process for each processor a thread would only be one hand-over more.
    return model.best(await request.body())
