import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { call, disconnect, nativeClient } from '../../src/kafka/client.js'
import { BrokerConnection } from '../../src/kafka/fetch/connection.js'
import { laneSettings } from '../../src/kafka/fetch/lane-settings.js'
import { fetch } from '../../src/kafka/fetch/protocol/fetch.js'
import { decodeRecords, type FetchedRecords } from '../../src/kafka/fetch/record-batch.js'
import { headersShown } from '../support/record-batches.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { installKafka } from './kafka-install.js'
import { findProgram } from './server-support.js'

const missing = requireKafka() ?? (findProgram('javac') === undefined ? 'no JDK' : undefined)

const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const javaTopics = [...compressions.map((name) => `java-${name}`), 'aborted', 'aborted-lz4', 'append-time', 'compacted']
const nativeTopics = compressions.map((name) => `native-${name}`)
const compactedCount = 4_000

/** Makes the topics and writes those that are Java's; or tells what Java's consumer reads of committed records. */
const program = `
import java.util.*;
import java.time.Duration;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

public class Records {
  static String bootstrap;
  static Random random = new Random(7);

  public static void main(String[] given) throws Exception {
    bootstrap = given[1];
    if (given[0].equals("read")) read(given[2].split(",")); else write(given[2].split(","));
  }

  static KafkaProducer<byte[], byte[]> producer(Map<String, Object> more) {
    var settings = new HashMap<String, Object>(more);
    settings.put("bootstrap.servers", bootstrap);
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  static byte[] bytes(int size) {
    var bytes = new byte[size];
    random.nextBytes(bytes);
    // Half of it can be compressed.
    for (int at = 0; at < size; at++) if (at % 64 < 32) bytes[at] = (byte) ('a' + at % 7);
    return bytes;
  }

  static List<Header> headers(int index) {
    if (index % 3 != 0) return List.of();
    return List.of(new RecordHeader("twice", ("a" + index).getBytes()), new RecordHeader("none", (byte[]) null), new RecordHeader("twice", new byte[0]));
  }

  static ProducerRecord<byte[], byte[]> record(String topic, int index) {
    byte[] key = index % 5 == 0 ? null : index % 7 == 0 ? new byte[0] : ("key " + index % 50).getBytes();
    byte[] value = index % 11 == 0 ? null : index % 13 == 0 ? new byte[0] : bytes(index % 100 == 99 ? 300_000 : 20 + index % 400);
    return new ProducerRecord<>(topic, 0, 1_700_000_000_000L + (index % 17) * (1L << 33) - index, key, value, headers(index));
  }

  static void write(String[] topics) throws Exception {
    try (var admin = Admin.create(Map.of("bootstrap.servers", (Object) bootstrap))) {
      var made = new ArrayList<NewTopic>();
      for (var topic : topics) {
        var config = new HashMap<String, String>();
        if (topic.equals("append-time")) config.put("message.timestamp.type", "LogAppendTime");
        if (topic.equals("compacted")) config.putAll(Map.of("cleanup.policy", "compact", "segment.bytes", "1048576", "min.cleanable.dirty.ratio", "0.01"));
        // Times far apart shall neither roll a segment each, nor have the broker delete what is old.
        for (var limit : List.of("message.timestamp.after.max.ms", "segment.ms")) config.put(limit, "" + Long.MAX_VALUE);
        config.put("retention.ms", "-1");
        made.add(new NewTopic(topic, 1, (short) 1).configs(config));
      }
      admin.createTopics(made).all().get();
    }
    for (var topic : topics) {
      if (topic.startsWith("java-")) {
        try (var producer = producer(Map.of("compression.type", topic.substring(5), "linger.ms", 5, "batch.size", 60_000))) {
          for (int index = 0; index < 1_000; index++) producer.send(record(topic, index));
        }
      } else if (topic.startsWith("aborted")) {
        abort(topic);
      } else if (topic.equals("append-time")) {
        try (var producer = producer(Map.of("linger.ms", 0))) {
          for (int index = 0; index < 50; index++) { producer.send(record(topic, index)); if (index % 10 == 0) producer.flush(); }
        }
      } else if (topic.equals("compacted")) {
        try (var producer = producer(Map.of("linger.ms", 5, "compression.type", "none"))) {
          for (int index = 0; index < ${compactedCount}; index++)
            producer.send(new ProducerRecord<>(topic, 0, ("key " + index % 300).getBytes(), bytes(1_000)));
        }
      }
    }
  }

  /** Several producers at once, each with transactions of its own that end as they come. */
  static void abort(String topic) throws Exception {
    var producers = new ArrayList<KafkaProducer<byte[], byte[]>>();
    for (int number = 0; number < 4; number++) {
      var compression = topic.endsWith("lz4") ? "lz4" : "none";
      var producer = producer(Map.of("transactional.id", topic + number, "linger.ms", 0, "compression.type", compression));
      producer.initTransactions();
      producer.beginTransaction();
      producers.add(producer);
    }
    for (int index = 0; index < 400; index++) {
      var producer = producers.get(random.nextInt(4));
      producer.send(record(topic, index % 99));
      if (random.nextInt(3) == 0) producer.flush();
      if (random.nextInt(8) > 0) continue;
      producer.flush();
      if (random.nextBoolean()) producer.commitTransaction(); else producer.abortTransaction();
      producer.beginTransaction();
    }
    for (var producer : producers) { producer.flush(); producer.abortTransaction(); producer.close(); }
  }

  static String hex(byte[] bytes) {
    return bytes == null ? "null" : bytes.length > 1_000 ? bytes.length + ":" + Arrays.hashCode(bytes) : HexFormat.of().formatHex(bytes);
  }

  static void read(String[] topics) throws Exception {
    var settings = new HashMap<String, Object>(Map.of("bootstrap.servers", bootstrap, "isolation.level", "read_committed"));
    try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      var partitions = Arrays.stream(topics).map(topic -> new TopicPartition(topic, 0)).toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      var ends = consumer.endOffsets(partitions);
      var out = new StringBuilder();
      while (partitions.stream().anyMatch(of -> consumer.position(of) < ends.get(of)))
        for (var record : consumer.poll(Duration.ofMillis(200))) {
          out.append(String.join(" ", record.topic(), "" + record.offset(), "" + record.timestamp(), hex(record.key()), hex(record.value())));
          for (var header : record.headers()) out.append(" ").append(header.key()).append("=").append(hex(header.value()));
          out.append("\\n");
        }
      System.out.print(out);
    }
  }
}`

describe.skipIf(missing !== undefined)('records as other clients write them', () => {
  const home = mkdtempSync(join(tmpdir(), 'weir-fetch-'))
  let cluster: KafkaCluster
  /** What Java's consumer reads, by topic. */
  let read: ReadonlyMap<string, readonly string[]>

  beforeAll(async () => {
    if (missing !== undefined) return
    writeFileSync(join(home, 'Records.java'), program)
    const jars = installKafka().jars
    await promisify(execFile)('javac', ['-cp', jars, '-d', home, join(home, 'Records.java')])
    cluster = await KafkaCluster.start({ settings: { 'log.cleaner.backoff.ms': '100' } })
    const java = async (what: string, topics: readonly string[]) => {
      const command = [
        '-XX:TieredStopAtLevel=1',
        '-cp',
        `${jars}:${home}`,
        'Records',
        what,
        cluster.bootstrap,
        topics.join(),
      ]
      return (await promisify(execFile)('java', command, { maxBuffer: 1 << 28, timeout: 200_000 })).stdout
    }
    await java('write', [...javaTopics, ...nativeTopics])
    await Promise.all(compressions.map((compression) => writeNatively(cluster.bootstrap, compression)))
    // It is compacted piece by piece.
    for (let left = compactedCount; ; await sleep(2_000)) {
      const before = left
      left = (await linesOf('compacted')).length
      if (left < compactedCount && left === before) break
    }
    const lines = (await java('read', [...javaTopics, ...nativeTopics])).trim().split('\n')
    read = new Map(
      [...javaTopics, ...nativeTopics].map((topic) => [topic, lines.filter((line) => line.startsWith(`${topic} `))]),
    )
  })

  afterAll(async () => {
    await cluster?.close()
    rmSync(home, { recursive: true, force: true })
  })

  /** All that is committed in a topic, asked for in answers of so many bytes. */
  async function linesOf(topic: string, maxBytes = 1 << 20): Promise<string[]> {
    const settings = laneSettings({ 'metadata.broker.list': cluster.bootstrap, 'client.id': 'test' })
    const connection = new BrokerConnection(settings.brokers[0]!, settings)
    await connection.connect()
    const lines: string[] = []
    for (let [offset, end] = [0, 1]; offset < end; ) {
      const asked = { partition: 0, leaderEpoch: -1, offset, lastFetchedEpoch: -1, maxBytes }
      const topics = [{ topic, partitions: [asked] }]
      const limits = { maxWaitMs: 100, minBytes: 1, maxBytes, rack: '' }
      const { partitions } = await connection.request(fetch, { ...limits, topics }, 60_000)
      const { error, records, aborted, highWatermark } = partitions[0]!
      expect(error).toBe(0)
      const decoded = await decodeRecords(records, offset, aborted, { maxBytes: 1 << 24 })
      expect(decoded.wanted).toBe(0)
      for (const of of decoded.records) lines.push(...linesIn(topic, of))
      ;[offset, end] = [decoded.next, highWatermark]
    }
    connection.close()
    return lines
  }

  test.each([...javaTopics, ...nativeTopics])("are those of Java's consumer, one by one: %s", async (topic) => {
    const expected = read.get(topic) ?? []
    expect(expected.length).toBeGreaterThan(40)
    expect(await linesOf(topic)).toEqual(expected)
    // Batch by batch, so that aborted transactions reach beyond each answer.
    if (topic.startsWith('aborted')) expect(await linesOf(topic, 1)).toEqual(expected)
  })
})

function linesIn(topic: string, records: FetchedRecords): string[] {
  return Array.from({ length: records.count }, (_, index) =>
    [
      topic,
      records.offset(index),
      records.timestamp(index),
      hex(records.key(index)),
      hex(records.value(index)),
      ...records
        .headers(index)
        .flatMap(headersShown)
        .map(([name, value]) => `${name}=${hex(value)}`),
    ].join(' '),
  )
}

function hex(bytes: Buffer | null): string {
  if (bytes === null) return 'null'
  if (bytes.length <= 1_000) return bytes.toString('hex')
  // As `Arrays.hashCode` has it.
  let hash = 1
  for (const byte of new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length))
    hash = (Math.imul(hash, 31) + byte) | 0
  return `${bytes.length}:${hash}`
}

async function writeNatively(bootstrap: string, compression: string): Promise<void> {
  const settings = { 'metadata.broker.list': bootstrap, dr_cb: true, 'compression.codec': compression, 'linger.ms': 20 }
  const producer = new (nativeClient().Producer)(settings as object)
  await call((done) => producer.connect({}, done))
  producer.setPollInterval(10)
  let left = 600
  await new Promise<void>((resolve, reject) => {
    producer.on('delivery-report', (error) => {
      if (error) reject(error)
      else if (--left === 0) resolve()
    })
    for (let index = 0; index < 600; index++) {
      const value = Buffer.alloc(index % 100 === 99 ? 200_000 : 1 + (index % 500), `value ${index} `)
      const headers = index % 4 === 0 ? [{ name: 'a' }, { name: `b${index}` }] : []
      producer.produce(
        `native-${compression}`,
        0,
        index % 9 === 0 ? null : value,
        `key ${index}`,
        1e12 + index,
        '',
        headers,
      )
    }
  })
  await disconnect(producer)
}
