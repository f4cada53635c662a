import json, sys, urllib.request as web

def ask(path, image=None, kind="image/jpeg"):
    request = web.Request(sys.argv[1] + path, data=image, headers={"content-type": kind} if image else {})
    with web.urlopen(request) as response:
        return json.load(response)

answer = ask("/v1/infer?model=nanodet", open("media/astronaut.jpg", "rb").read())
for found in answer["detections"]:
    print(found["label"], found["score"], found["box"])
for seen in ask("/v1/predictions?label=person&min_score=0.5&limit=10")["items"]:
    print(seen["captured_at"], seen["source"], seen["latency_ms"])
