"""Writes and reads events with the Python client of Kafka and the CloudEvents SDK.

    client.py produce BROKERS        a JSON object per line of stdin: topic, key, mode, type, data
    client.py consume BROKERS TOPIC COUNT    a JSON object per event on stdout, read_committed
"""

import json
import sys
import time

from cloudevents.core.bindings import kafka as binding
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka import Consumer, Producer


def produce(brokers: str) -> None:
    failed = []
    producer = Producer({"bootstrap.servers": brokers})
    for number, line in enumerate(sys.stdin):
        wanted = json.loads(line)
        event = CloudEvent(
            attributes={
                "id": f"py-{number}",
                "source": "/interop/python",
                "type": wanted["type"],
                "specversion": "1.0",
                "datacontenttype": "application/json",
                "partitionkey": wanted["key"],
            },
            data=wanted["data"],
        )
        write = binding.to_structured if wanted["mode"] == "structured" else binding.to_binary
        message = write(event, JSONFormat())
        producer.produce(
            wanted["topic"],
            key=message.key,
            value=message.value,
            headers=message.headers,
            on_delivery=lambda error, _: error and failed.append(str(error)),
        )
    producer.flush(30)
    if failed:
        sys.exit(f"not delivered: {failed}")


def consume(brokers: str, topic: str, count: int) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": f"interop-{topic}",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    until = time.monotonic() + 60
    while count > 0:
        if time.monotonic() > until:
            sys.exit(f"{count} events did not come")
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            sys.exit(str(message.error()))
        event = binding.from_kafka(
            binding.KafkaMessage(
                headers=dict(message.headers()), key=message.key(), value=message.value()
            ),
            JSONFormat(),
        )
        print(
            json.dumps(
                {
                    "id": event.get_id(),
                    "type": event.get_type(),
                    "source": event.get_source(),
                    "subject": event.get_subject(),
                    "time": event.get_time().isoformat(),
                    "key": message.key().decode(),
                    "data": event.get_data(),
                }
            )
        )
        count -= 1
    consumer.close()


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        produce(sys.argv[2])
    else:
        consume(sys.argv[2], sys.argv[3], int(sys.argv[4]))
