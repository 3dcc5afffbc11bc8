import { describe, expect, test } from 'tstyche'
import { z } from 'zod'
import {
  aggregate,
  batch,
  branch,
  consoleSink,
  count,
  countDistinct,
  env,
  eventTime,
  type Flow,
  flow,
  http,
  json,
  type Key,
  kafka,
  map,
  merge,
  otherwise,
  postgres,
  recordKey,
  to,
  tumbling,
} from '../../src/index.js'

const Visit = z.object({ user: z.string(), page: z.string(), at: z.iso.datetime() })
type Visit = z.infer<typeof Visit>

const visits = kafka.source({ topic: 'visits', group: 'g' })

describe('a whole flow', () => {
  test('types everything from the schema to the row', () => {
    const declared = flow(
      visits,
      json(Visit),
      eventTime((visit) => visit.at, { outOfOrder: env('OUT_OF_ORDER_MS').int().default(5_000) }),
      aggregate('per-page', {
        window: tumbling('30s'),
        by: (visit) => visit.page,
        of: { users: countDistinct((visit) => visit.user), visits: count() },
      }),
      batch({ size: 100, every: '1s' }),
      postgres.sink({
        table: 'pages',
        row: ({ key, window, value }) => {
          expect(key).type.toBe<string>()
          expect(window.start).type.toBe<Date>()
          expect(value).type.toBe<{ users: number; visits: number }>()
          return { page: key, from: window.start, ...value }
        },
      }),
    )
    expect(declared).type.toBe<Flow>()
  })

  test('refuses a row of a field that the aggregate does not make', () => {
    flow(
      visits,
      json(Visit),
      aggregate('all', { of: { visits: count() } }),
      // @ts-expect-error Property 'users' does not exist on type '{ visits: number; }'
      postgres.sink({ table: 'pages', row: ({ value }) => ({ users: value.users }) }),
    )
  })

  test('has results of keys that are gone where they are told', () => {
    const bounded = { by: recordKey, maxKeys: 10, of: count<Visit>() }
    flow(
      visits,
      json(Visit),
      aggregate('told', { ...bounded, gone: 'emit' }),
      map(({ key, value }) => {
        expect(key).type.toBe<Key>()
        expect(value).type.toBe<number | undefined>()
        return value
      }),
      consoleSink(),
    )
    flow(
      visits,
      json(Visit),
      aggregate('silent', bounded),
      map(({ value }) => {
        expect(value).type.toBe<number>()
        return value
      }),
      consoleSink(),
    )
  })

  test('refuses an aggregate of a field that the stage before does not make', () => {
    flow(
      visits,
      json(Visit),
      // @ts-expect-error Property 'name' does not exist on type '{ user: string
      aggregate('all', { of: { users: countDistinct((visit) => visit.name) } }),
      consoleSink(),
    )
  })

  test('takes what callers post as it is', () => {
    const declared = flow(
      http.post('/visits', { body: Visit }),
      kafka.sink({
        topic: 'visits',
        key: (visit) => {
          expect(visit).type.toBe<Visit>()
          return visit.user
        },
      }),
    )
    expect(declared).type.toBe<Flow>()
  })

  test('may merge, and end in branches', () => {
    const declared = flow(
      merge(http.post('/visits', { body: Visit }), http.post('/views', { body: Visit })),
      branch(
        to('home', (visit) => visit.page === '/', kafka.sink({ topic: 'home', key: (visit) => visit.user })),
        otherwise('rest', consoleSink()),
      ),
    )
    expect(declared).type.toBe<Flow>()
  })
})
