import { expect, test } from 'vitest'
import { compiled } from '../../src/codecs/event-schemas/compiled.js'
import { readSchemaFolder } from '../../src/codecs/event-schemas/folder.js'
import { eventProducer, eventsOf } from '../../src/flows/event-producer.js'
import type { Sink } from '../../src/index.js'
import { randomOf } from '../../src/sources/generate/random.js'
import { marbles } from '../../src/testing/index.js'

const types = new Map([...readSchemaFolder('schemas')].map(([type, versions]) => [type, versions.map(compiled)]))
const events = (badShare: number, count: number) =>
  Array.from({ length: count }, (_, index) => eventsOf(badShare)(randomOf(1, index), index))

function isTaken(made: unknown): boolean {
  const { eventType = '', schemaVersion } = (typeof made === 'string' ? {} : made) as Record<string, string | number>
  return (types.get(String(eventType)) ?? [])
    .filter(({ version }) => schemaVersion === undefined || version === schemaVersion)
    .some((version) => 'value' in version.judge(made))
}

test(
  'events are written as they were made',
  marbles(({ flow }) => {
    const [a, b] = events(0, 2)
    const run = flow(eventProducer)
    run.source('ab-', { a, b })
    run.sink('  ab-', { a, b })
  }),
)

test('events of every type are made, and their schemas take all of them', () => {
  const made = events(0, 400) as { eventType: string; schemaVersion?: number }[]
  expect(made.filter((event) => !isTaken(event))).toEqual([])
  expect(new Set(made.map(({ eventType }) => eventType))).toEqual(
    new Set([...types.keys()].filter((type) => type !== 'base')),
  )
  expect(new Set(made.map(({ schemaVersion }) => schemaVersion))).toEqual(new Set([undefined, 1, 2]))
})

test('those that are bad are taken by no schema, some of them are no JSON, and some of a newer version', () => {
  const made = events(1, 200)
  expect(made.filter(isTaken)).toEqual([])
  const texts = made.filter((event) => typeof event === 'string')
  expect(texts.length).toBeGreaterThan(0)
  for (const text of texts) expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError)
  expect(made).toContainEqual(expect.objectContaining({ schemaVersion: 3 }))
  expect(made).toContainEqual(expect.objectContaining({ eventType: 'user_vanished' }))
})

test('the share that is bad is so', () => {
  const bad = events(0.1, 1_000).filter((event) => !isTaken(event))
  expect(bad.length).toBeGreaterThan(70)
  expect(bad.length).toBeLessThan(130)
})

test('a message has its time, and the user for a key; what was cut off has neither', () => {
  const { key, value } = (eventProducer.end as Sink<never>).options as Record<string, (...args: unknown[]) => unknown>
  const [event] = events(0, 1) as [{ userId: number }]
  expect(key?.(event)).toBe(String(event.userId))
  expect(value?.(event, { timestamp: 0 })).toEqual({ ...event, timestamp: '1970-01-01T00:00:00.000Z' })
  expect(key?.('{"eventT')).toBeNull()
  expect(value?.('{"eventT', { timestamp: 0 })).toBe('{"eventT')
})
