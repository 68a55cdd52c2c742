"""Reads a topic from its beginning to its end, and prints each record as a line of JSON: its partition, its key and its value, as their schemas say, and its headers.

    read.py BROKERS TOPIC REGISTRY

Keys and values are in Confluent's form; the registry is asked for the schema of each id. Decimals are printed as texts, and times in UTC.
"""
import datetime
import decimal
import io
import json
import sys
import urllib.request

import fastavro
from confluent_kafka import Consumer, TopicPartition

brokers, topic, registry = sys.argv[1:4]
schemas = {}


def schema(number):
    if number not in schemas:
        with urllib.request.urlopen(f'{registry}/schemas/ids/{number}', timeout=10) as answer:
            schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)['schema']))
    return schemas[number]


def decoded(data):
    if data is None:
        return None
    if data[0] != 0:
        raise SystemExit(f'not in the form of a registry: {data[:8]!r}')
    rest = io.BytesIO(data[5:])
    value = fastavro.schemaless_reader(rest, schema(int.from_bytes(data[1:5], 'big')))
    if rest.read(1):
        raise SystemExit('there are bytes behind the value')
    return value


def plain(value):
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.%fZ')
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(type(value))


consumer = Consumer({'bootstrap.servers': brokers, 'group.id': 'reader of tests', 'enable.auto.commit': False})
parts = consumer.list_topics(topic, timeout=30).topics[topic].partitions
ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30) for p in parts}
for part, (first, end) in ends.items():
    consumer.assign([TopicPartition(topic, part, first)])
    at = first
    while at < end:
        message = consumer.poll(30)
        if message is None or message.error():
            raise SystemExit(f'partition {part} at {at} of {end}: {message and message.error()}')
        at = message.offset() + 1
        headers = {name: value.decode() for name, value in message.headers() or []}
        print(json.dumps({'partition': part, 'key': decoded(message.key()), 'value': decoded(message.value()), 'headers': headers}, default=plain))
consumer.close()
