import { firstValueFrom, from, lastValueFrom, toArray } from 'rxjs'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { schemaRegistry } from '../../src/codecs/schema-registry.js'
import {
  describeError,
  type Operator,
  type OperatorContext,
  type StreamRecord,
  silentLogger,
  systemClock,
} from '../../src/model/index.js'
import { loadPeer } from '../../src/model/optional-peer.js'
import { avro } from '../../src/operators/avro.js'
import { jsonSchema } from '../../src/operators/json-schema.js'
import { testRecord } from '../../src/testing/marbles.js'
import { because } from '../support/job-servers.js'
import { requireApicurio, SchemaRegistryServer } from './schema-registry.js'
import { freePort } from './server-support.js'

const { definition } = schemaRegistry
const Shock = z.strictObject({ id: z.string(), depth: z.number() })
const shock = {
  type: 'record',
  name: 'Shock',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'depth', type: 'double' },
  ],
}
const events = [
  { id: 'a', depth: 1.5 },
  { id: 'é', depth: -7 },
]

const missing = requireApicurio()
let server: SchemaRegistryServer

const open = (url = server.url) =>
  definition.open(definition.options.parse({ url, timeout: '20s' }), {
    app: 'test',
    name: 'registry',
    clock: systemClock,
    log: silentLogger,
    production: false,
    dataDirectory: '.',
  })

/** Runs values through a stage, with a connection of its own: what a new process would do. */
async function through<In, Out>(stage: Operator<In, Out>, values: readonly In[], url?: string): Promise<Out[]> {
  const registry = open(url)
  const reject = (_record: StreamRecord, error: unknown) => {
    throw error as Error
  }
  const context = { connection: () => registry, reject } as unknown as OperatorContext
  const operate = stage.definition.build(stage.definition.options.parse(stage.options), context)
  try {
    const made = await lastValueFrom(from(values.map((value) => testRecord(value))).pipe(operate, toArray()))
    return made.map(({ value }) => value as Out)
  } finally {
    await registry.close()
  }
}

const failure = (work: Promise<unknown>) => work.then(() => 'none', describeError)

describe.skipIf(missing !== undefined)(`a schema registry${because(missing)}`, () => {
  beforeAll(async () => {
    server = await SchemaRegistryServer.start()
  })
  afterAll(() => server?.close())
  afterEach(() => {
    server.outage = undefined
    server.requests.length = 0
  })

  describe('what one flow writes another reads', () => {
    test('as Avro', async () => {
      const written = await through(avro.encode(shock, { subject: 'avro-value' }), events)
      const id = written[0]!.readUInt32BE(1)
      expect(written.map((bytes) => bytes.readUIntBE(0, 5))).toEqual([id, id])
      expect(await through(avro.decode(), written)).toEqual(events)
      expect(server.requests).toEqual(['POST /subjects/avro-value/versions', `GET /schemas/ids/${id}`])
      expect(await server.schemas('avro-value')).toEqual([shock])
    })

    test('as JSON', async () => {
      const written = await through(jsonSchema.encode(Shock, { subject: 'json-value' }), events)
      expect(await through(jsonSchema.decode(Shock), written)).toEqual(events)
      expect(await server.schemas('json-value')).toEqual([
        expect.objectContaining({ type: 'object', required: ['id', 'depth'] }),
      ])
    })

    test('as plain JSON, when no registry is named', async () => {
      const written = await through(avro.encode(shock, { subject: 'none' }), events, '')
      expect(written.map(String)).toEqual(events.map((event) => JSON.stringify(event)))
      expect(await through(jsonSchema.decode(Shock), written, '')).toEqual(events)
      expect(server.requests).toEqual([])
    })
  })

  describe('schemas that change', () => {
    const added = { name: 'place', type: 'string' }
    const withDefault = { ...shock, fields: [...shock.fields, { ...added, default: 'unknown' }] }

    test('a field with a default: old values are read with it, and old readers read on', async () => {
      const [old] = await through(avro.encode(shock, { subject: 'growing-value' }), events)
      const [young] = await through(avro.encode(withDefault, { subject: 'growing-value' }), [
        { ...events[0], place: 'x' },
      ])
      expect(await through(avro.decode(withDefault), [old!, young!])).toEqual([
        { ...events[0], place: 'unknown' },
        { ...events[0], place: 'x' },
      ])
      expect(await through(avro.decode(shock), [young!])).toEqual([events[0]])
    })

    test('one that the last readers would not understand is refused, which stops the flow', async () => {
      await server.register('strict-value', shock)
      const broken = { ...shock, fields: [...shock.fields, added] }
      const encode = avro.encode(broken, { subject: 'strict-value' })
      expect(await failure(through(encode, [events[0] as never]))).toMatch(
        /^registering the schema of subject 'strict-value': .*incompatible.* Change the schema/,
      )
      await expect(through(encode, [events[0] as never])).rejects.toMatchObject({ remedy: 'stop' })
    })

    test('replicas that begin a subject at once all get its id', async () => {
      const each = () => through(avro.encode(shock, { subject: 'begun-value' }), events)
      const [first, ...others] = await Promise.all([each(), each(), each(), each(), each(), each()])
      for (const other of others) expect(other).toEqual(first)
      expect(await server.schemas('begun-value')).toEqual([shock])
    })

    test('without `register` a schema has to be there already', async () => {
      const encode = avro.encode(shock, { subject: 'reviewed-value', register: false })
      expect(await failure(through(encode, events))).toMatch(/^looking up the schema of subject 'reviewed-value'/)
      await server.register('reviewed-value', shock)
      expect(await through(avro.decode(), await through(encode, events))).toEqual(events)
      expect(await server.schemas('reviewed-value')).toHaveLength(1)
    })
  })

  describe('an outage', () => {
    test.each([
      ['a status of 500', 500],
      ['a status of 401', 401],
      ['a connection that breaks', 0],
    ])('%s is not the record’s fault, and over when it is over', async (_what, outage) => {
      const written = await through(avro.encode(shock, { subject: 'outage-value' }), events)
      server.outage = outage
      const error = { code: 'WEIR_REGISTRY_UNREACHABLE', remedy: 'retry' }
      await expect(through(avro.decode(), written)).rejects.toMatchObject(error)
      await expect(through(avro.encode(shock, { subject: 'outage-value' }), events)).rejects.toMatchObject(error)
      server.outage = undefined
      expect(await through(avro.decode(), written)).toEqual(events)
    })

    test('what was asked for once is known through an outage', async () => {
      const registry = open()
      const id = await server.register('known-value', shock)
      expect(await firstValueFrom(registry.schema(id))).toEqual({ type: 'AVRO', schema: JSON.stringify(shock) })
      server.outage = 500
      expect(await firstValueFrom(registry.schema(id))).toEqual({ type: 'AVRO', schema: JSON.stringify(shock) })
      await registry.close()
    })

    test('nobody listens: the text says where', async () => {
      const url = `http://127.0.0.1:${await freePort()}`
      expect(await failure(through(avro.decode(), [Buffer.from([0, 0, 0, 0, 1, 2])], url))).toMatch(
        /^reading schema 1: http:\/\/127\.0\.0\.1:\d+\/ answered .*ECONNREFUSED/,
      )
    })
  })

  test('an unknown id is the record’s fault', async () => {
    await expect(through(avro.decode(), [Buffer.from([0, 0, 0, 9, 9, 2])])).rejects.toMatchObject({
      code: 'WEIR_RECORD_MALFORMED',
      message: 'reading schema 2313: the registry has none of that id',
    })
  })

  test('an unknown id is asked for once, however many records bear it', async () => {
    const registry = open()
    const ask = () => firstValueFrom(registry.schema(4_711)).catch((error: unknown) => error)
    const errors = [...(await Promise.all([ask(), ask(), ask()])), await ask()]
    for (const error of errors) expect(error).toMatchObject({ code: 'WEIR_RECORD_MALFORMED' })
    expect(server.requests).toEqual(['GET /schemas/ids/4711'])
    await registry.close()
  })
})

test('a client that is not installed is named with the line that installs it', () => {
  expect(() => loadPeer('weir-no-such-package', 'Avro')).toThrow(
    expect.objectContaining({ code: 'WEIR_CONFIG_INVALID', hint: 'Install it: npm install weir-no-such-package' }),
  )
})

test('the address shows no password', () => {
  expect(open('http://ann:secret@registry:8081').address).toBe('http://registry:8081/')
})
