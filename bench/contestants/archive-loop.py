"""Reads CloudEvents, and writes a file with pyarrow for every so many of a partition, whose position it then commits."""
import gc
import json
import os
import resource
import time

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, TopicPartition

TOPIC = os.environ["TOPIC"]
TOTAL = int(os.environ["EVENTS"])
FILES = os.environ["FILES"]
ROWS_PER_FILE = int(os.environ["ROWS_PER_FILE"])
BATCH = 10_000

MICROS = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("subject", pa.string()),
        pa.field("time", MICROS),
        pa.field("datacontenttype", pa.string()),
        pa.field("dataschema", pa.string()),
        pa.field("data", pa.string()),
        pa.field("kafka_topic", pa.string(), nullable=False),
        pa.field("kafka_partition", pa.int32(), nullable=False),
        pa.field("kafka_offset", pa.int64(), nullable=False),
        pa.field("kafka_timestamp", MICROS),
        pa.field("kafka_key", pa.binary()),
    ]
)
REPEATING = ["source", "type", "subject", "datacontenttype", "dataschema", "kafka_topic"]


def rows_of(partition, messages):
    events = [orjson.loads(message.value()) for message in messages]
    texts = lambda name: pa.array([event.get(name) for event in events], pa.string())
    times = [message.timestamp()[1] for message in messages]
    columns = [
        texts("id"),
        texts("source"),
        texts("type"),
        texts("subject"),
        texts("time").cast(MICROS),
        texts("datacontenttype"),
        texts("dataschema"),
        pa.array([orjson.dumps(event["data"]) for event in events], pa.string()),
        pa.repeat(TOPIC, len(messages)),
        pa.repeat(pa.scalar(partition, pa.int32()), len(messages)),
        pa.array([message.offset() for message in messages], pa.int64()),
        pa.array(times, pa.timestamp("ms", tz="UTC")).cast(MICROS),
        pa.array([message.key() for message in messages], pa.binary()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


class Partition:
    """The rows of a partition that are in no file yet."""

    def __init__(self, number):
        self.number = number
        self.tables = []
        self.rows = 0
        self.first = 0

    def add(self, messages):
        self.tables.append(rows_of(self.number, messages))
        self.rows += len(messages)
        while self.rows >= ROWS_PER_FILE:
            self.write(ROWS_PER_FILE)

    def write(self, count):
        table = pa.concat_tables(self.tables)
        self.tables = [table.slice(count)]
        self.rows -= count
        table = table.slice(0, count)
        first, last = table["kafka_offset"][0].as_py(), table["kafka_offset"][-1].as_py()
        path = f"{FILES}/{TOPIC}_{self.number}_{first}.parquet"
        with open(f"{path}.part", "wb") as file:
            pq.write_table(table, file, compression="zstd", compression_level=3, use_dictionary=REPEATING)
            file.flush()
            os.fsync(file.fileno())
        os.rename(f"{path}.part", path)
        consumer.commit(offsets=[TopicPartition(TOPIC, self.number, last + 1)], asynchronous=False)


# Nothing here has cycles, and looking for them in all that is read takes time.
gc.disable()
consumer = Consumer(
    {
        "bootstrap.servers": os.environ["BROKERS"],
        "group.id": f"archive-python-{os.environ['RUN']}",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }
)
consumer.subscribe([TOPIC])

partitions = {}
read = 0
began = 0.0
while read < TOTAL:
    messages = consumer.consume(min(BATCH, TOTAL - read), 1.0)
    if began == 0.0 and messages:
        began = time.perf_counter()
    of = {}
    for message in messages:
        if message.error():
            raise RuntimeError(message.error())
        of.setdefault(message.partition(), []).append(message)
    for number, some in of.items():
        partitions.setdefault(number, Partition(number)).add(some)
    read += len(messages)
for partition in partitions.values():
    if partition.rows > 0:
        partition.write(partition.rows)
seconds = time.perf_counter() - began
consumer.close()

rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"recordsPerSecond": round(TOTAL / seconds), "rssMiB": rss}))
