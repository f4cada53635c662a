"""
The worker a team would write instead: consumes pictures, writes the five best classes of each back to a topic.
worker.py MODEL_FOLDER BROKERS TOPIC RESULTS PARTITION:FROM:UNTIL... ; ends when it has read all of them.
"""

import json
import sys

import confluent_kafka

import classify

folder, brokers, topic, results, *spans = sys.argv[1:]
spans = [tuple(int(part) for part in span.split(":")) for span in spans]
model = classify.Classifier(folder)
consumer = confluent_kafka.Consumer({"bootstrap.servers": brokers, "group.id": "saccade-bench-peer", "enable.auto.commit": False})
producer = confluent_kafka.Producer({"bootstrap.servers": brokers, "acks": "all", "linger.ms": 5})
failed = []
classify.wait_for_go()
started = classify.start_clock()
# Assigned and not subscribed: a rebalance in mid-run would be counted against it.
consumer.assign([confluent_kafka.TopicPartition(topic, partition, begin) for partition, begin, _ in spans])
left = sum(until - begin for _, begin, until in spans)
count = 0
while count < left:
    for message in consumer.consume(64, 1.0):
        if message.error():
            raise SystemExit(str(message.error()))
        probabilities = model.classify(message.value())
        best = probabilities.argsort()[-5:][::-1]
        answer = {"partition": message.partition(), "offset": message.offset(), "classes": best.tolist(), "scores": probabilities[best].tolist()}
        producer.produce(results, key=message.key(), value=json.dumps(answer), on_delivery=lambda error, _: failed.append(error) if error else None)
        count += 1
    producer.poll(0)
    consumer.commit(asynchronous=True) if count < left else None
producer.flush()
if failed:
    raise SystemExit(f"{len(failed)} results were not delivered: {failed[0]}")
classify.report(count, started, [])
consumer.close()
