import avsc from 'avsc'
import { map, type Observable, of, throwError } from 'rxjs'
import { describe, expect, test } from 'vitest'
import type { RegisteredSchema } from '../../src/codecs/schema-registry.js'
import { type StreamRecord, WeirError } from '../../src/model/index.js'
import { avro } from '../../src/operators/avro.js'
import { marbles } from '../../src/testing/marbles.js'
import { registryOf, wire } from '../support/registry.js'

const id = { name: 'id', type: 'string' }
const first = { type: 'record', name: 'Shock', fields: [id] }
const second = {
  ...first,
  fields: [
    id,
    { name: 'depth', type: ['null', 'double'], default: null },
    { name: 'tags', type: { type: 'array', items: 'string' }, default: [] },
  ],
}
const typeOf = (schema: object) => avsc.Type.forSchema(schema as avsc.Schema)
const types = { 1: typeOf(first), 2: typeOf(second) }
const written = (writer: 1 | 2, value: object) => wire(writer, types[writer].toBuffer(value))
const registered = (schema: object): RegisteredSchema => ({ type: 'AVRO', schema: JSON.stringify(schema) })
const known = (asked: number) => of(registered(asked === 1 ? first : second))
const unreachable = new WeirError('WEIR_REGISTRY_UNREACHABLE', 'reading schema 1: refused')
const unknownId = new WeirError('WEIR_RECORD_MALFORMED', 'reading schema 9: the registry has none of that id')

/** Decoded records are objects of a class of their own. */
const plain = (records$: Observable<StreamRecord>) =>
  records$.pipe(map((record) => record.with(JSON.parse(JSON.stringify(record.value)) as unknown)))

describe('avro.decode', () => {
  test(
    'asks for the schema of each id once, while the records behind wait in order',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('ab-cd-----e|', {
        a: written(1, { id: 'a' }),
        b: written(1, { id: 'b' }),
        c: written(2, { id: 'c', depth: 7, tags: ['x'] }),
        d: written(1, { id: 'd' }),
        e: written(2, { id: 'e', depth: null, tags: [] }),
      })
      const one = cold('      --(s|)      ', { s: registered(first) })
      const two = cold('         ---(s|)  ', { s: registered(second) })
      const expected = '      --(ab)(cd)e|'

      const stage = operator(avro.decode(), registryOf({ schema: (asked) => (asked === 1 ? one : two) }))
      expectRecords(plain(source.pipe(stage))).toBe(expected, {
        a: { id: 'a' },
        b: { id: 'b' },
        c: { id: 'c', depth: 7, tags: ['x'] },
        d: { id: 'd' },
        e: { id: 'e', depth: null, tags: [] },
      })
      expectSubscriptions(source.subscriptions).toBe('^----------!')
      expectSubscriptions(one.subscriptions).toBe('   ^-!')
      expectSubscriptions(two.subscriptions).toBe('   ---^--!')
    }),
  )

  test(
    'reads what older and newer writers wrote as its own schema',
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const values = { a: written(1, { id: 'a' }), b: written(2, { id: 'b', depth: 7, tags: ['x'] }) }
      const old = records('ab|', values)
      const young = records('ab|', values)
      const context = registryOf({ schema: known })

      expectRecords(plain(old.pipe(operator(avro.decode(first), context)))).toBe('ab|', {
        a: { id: 'a' },
        b: { id: 'b' },
      })
      expectRecords(plain(young.pipe(operator(avro.decode(second), context)))).toBe('ab|', {
        a: { id: 'a', depth: null, tags: [] },
        b: { id: 'b', depth: 7, tags: ['x'] },
      })
      expectSubscriptions(old.subscriptions).toBe('^-!')
      expectSubscriptions(young.subscriptions).toBe('^-!')
    }),
  )

  const good = written(1, { id: 'good' })
  test.each([
    ['another first byte', Buffer.concat([Buffer.from([1]), good.subarray(1)])],
    ['less than a header', good.subarray(0, 4)],
    ['no value behind the header', good.subarray(0, 5)],
    ['a value that ends too early', good.subarray(0, -1)],
    ['bytes that are left over', Buffer.concat([good, Buffer.from('x')])],
    ['text', 'good'],
    ['a tombstone', null],
    ['a schema that is none', wire(3, Buffer.from('x'))],
    ['a schema that can not be read as the reader’s', wire(4, Buffer.from([2]))],
    ['a schema of another format', wire(5, Buffer.from('{}'))],
    ['a union of no such branch', wire(2, Buffer.from([2, 0x61, 12, 0]))],
  ])('rejects %s, and reads on', (_what, bad) => {
    marbles(({ operator, records, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('abc|', { a: good, b: bad, c: good })
      const schemas: Record<number, RegisteredSchema> = {
        1: registered(first),
        2: registered(second),
        3: { type: 'AVRO', schema: '{' },
        4: registered({ type: 'record', name: 'Shock', fields: [{ name: 'id', type: 'int' }] }),
        5: { type: 'JSON', schema: '{}' },
      }
      const stage = operator(
        avro.decode(first),
        registryOf({ schema: (asked) => of(schemas[asked] as RegisteredSchema) }),
      )
      expectRecords(plain(source.pipe(stage))).toBe('a-c|', { a: { id: 'good' }, c: { id: 'good' } })
      expectRejections('-b', { b: 'WEIR_RECORD_MALFORMED' })
      expectSubscriptions(source.subscriptions).toBe('^--!')
    })()
  })

  test(
    'rejects an id that the registry does not know, and what waits behind flows on',
    marbles(({ operator, records, cold, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('ab|  ', { a: wire(9, Buffer.from('x')), b: good })
      const missing = cold<RegisteredSchema>('  ---# ', {}, unknownId)
      const expected = '      ---(b|)'

      const stage = operator(avro.decode(first), registryOf({ schema: (asked) => (asked === 9 ? missing : known(1)) }))
      expectRecords(plain(source.pipe(stage))).toBe(expected, { b: { id: 'good' } })
      expectRejections('---a', { a: 'WEIR_RECORD_MALFORMED' })
      expectSubscriptions(source.subscriptions).toBe('^-!')
      expectSubscriptions(missing.subscriptions).toBe('^--!')
    }),
  )

  test(
    'a registry that can not be reached is no fault of a record',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('ab---|', { a: good, b: good })
      const outage = cold<RegisteredSchema>('   ---#  ', {}, unreachable)

      const stage = operator(avro.decode(first), { ...registryOf({ schema: () => outage }), onError: 'skip' })
      expectRecords(source.pipe(stage)).toBe('---#', {}, 'WEIR_REGISTRY_UNREACHABLE')
      expectSubscriptions(source.subscriptions).toBe('^--!')
      expectSubscriptions(outage.subscriptions).toBe('^--!')
    }),
  )

  test(
    'an epoch that ends early asks no longer',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('a-----|', { a: good })
      const slow = cold('     -----(s|)', { s: registered(first) })

      const stage = operator(avro.decode(first), registryOf({ schema: () => slow }))
      expectRecords(source.pipe(stage), '--!').toBe('')
      expectSubscriptions(source.subscriptions).toBe('^-!')
      expectSubscriptions(slow.subscriptions).toBe('^-!')
    }),
  )

  test(
    'without a registry reads plain JSON, held to the schema, its defaults filled in',
    marbles(({ operator, records, rejections, flush, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('abcd|', {
        a: Buffer.from('{"id":"a"}'),
        b: Buffer.from('{"id":7,"depth":"deep"}'),
        c: Buffer.from('{"id":'),
        d: '{"id":"d","depth":1.5,"tags":["x"],"more":1}',
      })
      expectRecords(plain(source.pipe(operator(avro.decode(second), registryOf())))).toBe('a--d|', {
        a: { id: 'a', depth: null, tags: [] },
        d: { id: 'd', depth: 1.5, tags: ['x'] },
      })
      expectRejections('-bc', { b: 'WEIR_RECORD_INVALID', c: 'WEIR_RECORD_MALFORMED' })
      expectSubscriptions(source.subscriptions).toBe('^---!')
      flush()
      expect(rejections[0]?.error.message).toBe(
        'validating a record: id: expected string; depth: expected union:unwrapped',
      )
    }),
  )
})

describe('avro.encode', () => {
  test(
    'registers its schema once, while the records wait in order',
    marbles(({ operator, records, cold, expectRecords, expectSubscriptions }) => {
      const source = records('ab-----c|', { a: { id: 'a' }, b: { id: 'b' }, c: { id: 'x'.repeat(5_000) } })
      const answer = cold('   ---(i|)', { i: 7 })
      const expected = '      ---(ab)c|'

      const stage = operator(avro.encode(first, { subject: 'shocks-value' }), registryOf({ id: () => answer }))
      expectRecords(source.pipe(stage)).toBe(expected, {
        a: wire(7, types[1].toBuffer({ id: 'a' })),
        b: wire(7, types[1].toBuffer({ id: 'b' })),
        c: wire(7, types[1].toBuffer({ id: 'x'.repeat(5_000) })),
      })
      expectSubscriptions(source.subscriptions).toBe('^-------!')
      expectSubscriptions(answer.subscriptions).toBe('^--!')
    }),
  )

  test.each([
    ['WEIR_REGISTRY_UNREACHABLE', 'skip'],
    ['WEIR_CONFIG_INVALID', 'skip'],
  ] as const)('%s is no fault of a record', (code, onError) => {
    marbles(({ operator, records, expectRecords, expectSubscriptions }) => {
      const source = records('a-|', { a: { id: 'a' } })
      const refused = () => throwError(() => new WeirError(code, 'registering'))
      const stage = operator(avro.encode(first, { subject: 'shocks-value' }), {
        ...registryOf({ id: refused }),
        onError,
      })
      expectRecords(source.pipe(stage)).toBe('#', {}, code)
      expectSubscriptions(source.subscriptions).toBe('(^!)')
    })()
  })

  test.each([true, false])('a value that does not fit is rejected (with a registry: %s)', (isNamed) => {
    marbles(({ operator, records, rejections, flush, expectRecords, expectRejections, expectSubscriptions }) => {
      const source = records('ab|', { a: { id: 7 }, b: { id: 'b' } })
      const context = registryOf(isNamed ? {} : undefined)
      const stage = operator(avro.encode(first, { subject: 's' }), { ...context, onError: 'dead-letter' })
      const b = isNamed ? wire(1, types[1].toBuffer({ id: 'b' })) : Buffer.from('{"id":"b"}')
      expectRecords(source.pipe(stage)).toBe('-b|', { b })
      expectRejections('a', { a: 'WEIR_RECORD_INVALID' })
      expectSubscriptions(source.subscriptions).toBe('^-!')
      flush()
      expect(rejections[0]?.error.message).toBe('validating a record: id: expected string')
    })()
  })
})

test('a schema that is none is a fault of the configuration', () => {
  const build = marbles(
    ({ operator }) => void operator(avro.decode({ type: 'nonsense' }), registryOf({ schema: known })),
  )
  expect(build).toThrow('compiling an Avro schema: unknown type')
})
