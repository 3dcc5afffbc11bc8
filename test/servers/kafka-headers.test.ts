import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/engine/index.js'
import { flow, json, kafka } from '../../src/index.js'
import type { KafkaConnection } from '../../src/kafka/connection.js'
import { LogReader } from '../../src/kafka/log-reader.js'
import { runningEngine } from '../support/running-engine.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { installKafka } from './kafka-install.js'
import { fresh, makeTopic, sharedServer } from './kafka-support.js'
import { findProgram } from './server-support.js'

const missing = requireKafka() ?? (findProgram('javac') === undefined ? 'no JDK' : undefined)

/** Writes what the client of this project can't: headers without a value or a name. */
const program = `
import java.util.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Headers {
  public static void main(String[] given) throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", given[0]);
    try (var producer = new KafkaProducer<byte[], byte[]>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      Header[][] all = {
        { new RecordHeader("none", (byte[]) null) },
        { new RecordHeader("", "unnamed".getBytes()) },
        { new RecordHeader("twice", "a".getBytes()), new RecordHeader("twice", "b".getBytes()) },
        { new RecordHeader("bytes", new byte[] { (byte) 0xff, 0 }), new RecordHeader("empty", new byte[0]) },
        { new RecordHeader("zero\\0", "0".getBytes()) },
        { new RecordHeader("ü\\uD83E\\uDDA6", "otter".getBytes("UTF-8")) },
        {},
      };
      for (int index = 0; index < all.length; index++)
        producer.send(new ProducerRecord<>(given[1], 0, null, null, ("\\"" + index + "\\"").getBytes(), Arrays.asList(all[index]))).get();
    }
  }
}`

function produce(bootstrap: string, topic: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'weir-headers-'))
  const file = join(directory, 'Headers.java')
  writeFileSync(file, program)
  execFileSync('java', ['-cp', installKafka().jars, file, bootstrap, topic], { stdio: 'pipe' })
  rmSync(directory, { recursive: true })
}

/** What came, by value. */
async function read(connection: KafkaConnection, topic: string, many: number) {
  const reader = new LogReader(await connection.settings())
  await reader.connect()
  reader.assign([{ topic, partition: 0, offset: 0 }])
  const found: (readonly [string, unknown])[] = []
  while (found.length < many) for (const { value, headers } of await reader.poll()) found.push([String(value), headers])
  await reader.close()
  return new Map(found)
}

function shown(headers: unknown): [name: string, value: string | null][] {
  return ((headers ?? []) as object[]).flatMap((header) =>
    Object.entries(header).map(([name, held]): [name: string, value: string | null] => [
      name,
      held === null ? null : Buffer.from(held as Buffer).toString('latin1'),
    ]),
  )
}

describe.skipIf(missing !== undefined)('headers as other clients write them', () => {
  const shared = sharedServer(() => KafkaCluster.start())

  test.each(['at-least-once', 'exactly-once'] as const)(
    'end no flow, and are copied as they came, %s',
    async (guarantee) => {
      const [source, target, dead] = [fresh('source'), fresh('target'), fresh('dead')]
      for (const topic of [source, target, dead]) {
        await makeTopic(shared.connection, topic)
      }
      produce(shared.server.bootstrap, source)
      const asked = guarantee === 'exactly-once' ? { guarantee, checkpoints: 'kafka' } : {}
      const refusing = flow(
        kafka.source({ topic: source, from: 'earliest', group: 'refusing' }),
        json({ '~standard': { version: 1, vendor: 'test', validate: () => ({ issues: [{ message: 'no' }] }) } }),
        kafka.sink({ topic: target }),
      ).with({ attempts: 3, deadLetters: dead, ...asked })
      const copying = flow(kafka.source({ topic: source, from: 'earliest' }), kafka.sink({ topic: target })).with({
        attempts: 3,
        deadLetters: `${dead}.copies`,
        ...asked,
      })
      const connections = { kafka: kafka({ brokers: shared.server.bootstrap }) }
      const { engine } = runningEngine(
        compile({ app: fresh('headers'), connections, flows: { copying, refusing } }, { environment: {} }),
      )
      const given = await read(shared.connection, source, 7)
      const copied = await read(shared.connection, target, 7)
      const letters = await read(shared.connection, dead, 7)
      expect(engine.status().map(({ state }) => state)).not.toContain('failed')
      for (const [value, headers] of given) {
        // The client writes a name up to its first zero byte.
        const own = shown(headers).map(([name, held]) => [name.replace(/\0.*/s, ''), held])
        expect(shown(copied.get(value)).slice(0, own.length)).toEqual(own)
        expect(shown(letters.get(value)).slice(0, own.length)).toEqual(own)
      }
      expect(given.size).toBe(7)
    },
  )
})
