import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { compareTopologies, compile, printTopology, type WeirConfig } from '../../src/engine/index.js'
import {
  aggregate,
  branch,
  consoleSink,
  count,
  env,
  type Flow,
  filter,
  flow,
  from,
  generate,
  http,
  json,
  kafka,
  map,
  merge,
  otherwise,
  postgres,
  redis,
  secret,
  sse,
  to,
  tumbling,
} from '../../src/index.js'
import { defineConnection, defineOperator, defineSink, type Environment, type Setting } from '../../src/model/index.js'
import { brokers, compiled, config, db, faultsOf, flowOf, orders } from '../support/compiling.js'

const counted = aggregate('counted', { of: count() })
const rows = postgres.sink({ table: 'rows', row: (value: unknown) => ({ value }) })
const other = defineConnection({
  kind: 'other',
  summary: 'Keeps nothing.',
  options: z.strictObject({ url: z.string().optional() }),
  open: () => ({ address: 'other', close: () => Promise.resolve() }),
})

const messagesOf = (given: WeirConfig, environment?: Environment) =>
  faultsOf(given, environment).map(({ message }) => message)

describe('faults', () => {
  test('are told all at once, each with the place of its declaration', () => {
    const source = http.post('no-slash', { body: z.string(), maxEvents: 0 })
    const sink = kafka.sink({ topic: env('TOPIC'), connection: 'kafak' })
    const faults = faultsOf({
      connections: { kafka: kafka({ brokers: env('BROKERS') }) },
      checkpoints: 'nowhere',
      flows: { one: flow(source, sink), two: flow(orders, json(), rows) },
    })
    expect(faults.map(({ message }) => message)).toEqual([
      "connection 'kafka': reading the environment: BROKERS is not set",
      "checkpoints: no connection 'nowhere'",
      expect.stringMatching(/^flow 'one': http\.post: option 'path' /),
      expect.stringMatching(/^flow 'one': http\.post: option 'maxEvents' /),
      "flow 'one': kafka.sink: reading the environment: TOPIC is not set",
      "flow 'two': postgres.sink needs a postgres connection",
    ])
    for (const { message, declaredAt } of faults) {
      if (!message.startsWith('checkpoints')) expect(declaredAt?.stack).toContain('compile.test.ts')
    }
  })

  test('are one error of the code WEIR_CONFIG_INVALID, each with its hint', () => {
    const given = config(flow(orders, json(), rows), { connections: { kafka: brokers } })
    expect(() => compiled(given)).toThrow(
      expect.objectContaining({
        code: 'WEIR_CONFIG_INVALID',
        remedy: 'stop',
        message: [
          "checkpoints: no connection 'db'. Declare it, or name 'kafka' or 'memory'.",
          "flow 'flow': postgres.sink needs a postgres connection. Add one: connections: { postgres: postgres({ … }) }.",
        ].join('\n'),
      }),
    )
  })

  test('tell of a connection of that name but of another kind', () => {
    const sink = postgres.sink({ table: 'rows', connection: 'kafka', row: (value: unknown) => ({ value }) })
    expect(messagesOf(config(flow(orders, sink)))).toEqual([
      "flow 'flow': postgres.sink names the connection 'kafka', which is no declared postgres",
    ])
  })

  test('tell of several connections of which none is named', () => {
    const connections = { kafka: brokers, one: db, two: db }
    expect(faultsOf(config(flow(orders, json(), rows), { connections, checkpoints: 'one' }))).toMatchObject([
      { message: "flow 'flow': postgres.sink could use several connections", hint: "Name one: connection: 'one'." },
    ])
    const named = postgres.sink({ table: 'rows', connection: 'two', row: (value: unknown) => ({ value }) })
    expect(flowOf(config(flow(orders, named), { connections, checkpoints: 'one' })).parts[0]?.end).toMatchObject({
      connection: 'two',
    })
  })

  test('tell of checkpoints of a flow that nothing can keep', () => {
    const declared = flow(orders, consoleSink())
    expect(messagesOf(config(declared.with({ checkpoints: 'nowhere' })))).toEqual([
      "flow 'flow': checkpoints: no connection 'nowhere'",
    ])
    const connections = { kafka: brokers, db, none: other({}) }
    expect(messagesOf(config(declared.with({ checkpoints: 'none' }), { connections }))).toEqual([
      "flow 'flow': checkpoints: a other connection ('none') can't keep them",
    ])
  })

  test('tell of a connection that can not keep checkpoints', () => {
    const connections = { kafka: brokers, none: other({}) }
    expect(messagesOf(config(flow(orders, consoleSink()), { connections, checkpoints: 'none' }))).toEqual([
      "checkpoints: a other connection ('none') can't keep them",
    ])
  })

  test('tell of every store that has the name of another', () => {
    const twice = (name: string) => aggregate(name, { of: count() })
    const declared = flow(
      orders,
      twice('a'),
      branch(
        to('b', () => true, twice('a'), twice('b'), consoleSink()),
        otherwise('c', twice('b'), consoleSink()),
      ),
    )
    const faults = faultsOf(config(declared))
    expect(faults.map(({ message }) => message)).toEqual([
      "flow 'flow' has two stateful stages named 'a'",
      "flow 'flow' has two stateful stages named 'b'",
      "flow 'flow': 'a-2' aggregates what another aggregate makes",
      "flow 'flow': 'b-2' aggregates what another aggregate makes",
    ])
    for (const { declaredAt } of faults) expect(declaredAt?.stack).toContain('compile.test.ts')
  })

  const read = (topic: string | string[], connection = 'kafka') => kafka.source({ topic, connection })
  test.each([
    ['alone', merge(read('orders'), read('orders'))],
    ['among others', merge(read(['returns', 'orders']), read('orders'))],
    ['in a part of its own', merge(from(read('orders'), json(), counted), read('orders'))],
    ['of another broker', merge(read('orders', 'far'), read('orders'))],
  ])('tell of a topic that two inputs read: %s', (_, merged) => {
    const faults = faultsOf(config(flow(merged, consoleSink()), { connections: { kafka: brokers, far: brokers, db } }))
    expect(faults.map(({ message }) => message)).toEqual([
      "flow 'flow': 'kafka.source-2' reads topic 'orders', which its input 'kafka.source' reads already",
    ])
    expect(faults[0]?.declaredAt?.stack).toContain('compile.test.ts')
    expect(faults[0]?.hint).toContain('Read it in one input')
  })

  test('tell of dead letters that nothing takes', () => {
    const given = config(flow(http.post('/a', { body: z.string() }), json(), consoleSink()), {
      connections: { other: other({}) },
      checkpoints: 'memory',
    })
    expect(messagesOf(given)).toEqual([
      "flow 'flow': json sends what it rejects to the dead letters, and no connection takes them",
    ])
    expect(messagesOf({ ...given, connections: { kafka: brokers }, deadLetters: 'nowhere' })).toHaveLength(1)
    expect(messagesOf({ ...given, connections: { kafka: brokers } })).toEqual([])
  })

  test('of flows that are not asked for are not told', () => {
    const given = config(flow(orders, consoleSink()))
    const broken = {
      ...given,
      flows: { ...given.flows, broken: flow(http.post('no-slash', { body: z.string() }), rows) },
    }
    expect(compile(broken, { environment: {}, only: ['flow'] }).flows.map(({ name }) => name)).toEqual(['flow'])
    expect(messagesOf(broken)).toHaveLength(1)
  })
})

describe('the name of the application', () => {
  const given = config(flow(orders, consoleSink()))

  test.each([
    ['the configuration', { app: 'shop' }, { WEIR_APP: 'other' }, 'shop'],
    ['the environment', {}, { WEIR_APP: 'other' }, 'other'],
    ['Weir', {}, {}, 'weir'],
    ['Weir, where the variable is empty', {}, { WEIR_APP: '' }, 'weir'],
  ])('is that of %s', (_, more, environment, app) => {
    expect(compiled({ ...given, ...more }, environment).app).toBe(app)
  })

  test('prefixes where dead letters go', () => {
    const declared = flow(orders, json(), consoleSink())
    expect(flowOf(config(declared, { app: 'shop' })).deadLetters).toEqual({
      connection: 'kafka',
      name: 'shop.flow.dead-letters',
    })
    expect(flowOf(config(declared.with({ deadLetters: 'trash' }))).deadLetters?.name).toBe('trash')
  })
})

describe('the guarantee', () => {
  const of = (declared: Flow, more?: Partial<WeirConfig>) => {
    const { guarantee, guaranteedBy, parts } = flowOf(config(declared, more))
    return [guarantee, guaranteedBy.stage, parts.some(({ checkpointed }) => checkpointed)]
  }
  const post = http.post('/a', { body: z.string() })

  test('is exactly once where rows, state and positions are one transaction', () => {
    expect(of(flow(orders, json(), rows))).toEqual(['exactly-once', 'postgres.sink', true])
    expect(of(flow(orders, json(), counted, rows))).toEqual(['exactly-once', 'postgres.sink', true])
  })

  test('of a source that has its positions in the store alone needs one that lasts', () => {
    const made = generate({ rate: 1, value: (_random, index) => index })
    const connections = { kafka: brokers, db, rows: db }
    const elsewhere = postgres.sink({ table: 'rows', connection: 'rows', row: (value: unknown) => ({ value }) })
    expect(of(flow(made, elsewhere), { connections })).toEqual(['at-least-once', 'postgres.sink', true])
    const { guaranteedBy } = flowOf(config(flow(made, elsewhere), { connections, checkpoints: 'memory' }))
    expect(guaranteedBy).toEqual({
      stage: 'generate',
      why: 'its positions are in memory: a process that starts again begins anew',
    })
    expect(of(flow(orders, json(), elsewhere), { connections, checkpoints: 'memory' })[1]).toBe('postgres.sink')
  })

  test('is at least once where rows are in another database than the checkpoints', () => {
    const connections = { kafka: brokers, db, rows: db }
    const elsewhere = postgres.sink({ table: 'rows', connection: 'rows', row: (value: unknown) => ({ value }) })
    expect(of(flow(orders, json(), elsewhere), { connections })).toEqual(['at-least-once', 'postgres.sink', false])
    expect(of(flow(orders, json(), counted, elsewhere), { connections })).toEqual([
      'at-least-once',
      'postgres.sink',
      true,
    ])
  })

  test('is exactly once where a flow keeps its own checkpoints beside its rows', () => {
    const connections = { kafka: brokers, db, rows: db }
    const elsewhere = postgres.sink({ table: 'rows', connection: 'rows', row: (value: unknown) => ({ value }) })
    const declared = flow(orders, json(), elsewhere)
    expect(of(declared.with({ checkpoints: 'rows' }), { connections })).toEqual(['exactly-once', 'postgres.sink', true])
    expect(of(flow(orders, json(), rows).with({ checkpoints: 'memory' }))[0]).toBe('at-least-once')
  })

  test('is at least once where a topic or the console is written', () => {
    expect(of(flow(orders, kafka.sink({ topic: 'out' })))).toEqual(['at-least-once', 'kafka.sink', false])
    expect(of(flow(orders, consoleSink()))[0]).toBe('at-least-once')
  })

  describe('exactly once, asked of a flow,', () => {
    const out = kafka.sink({ topic: 'out' })
    const asked = (declared: Flow, more: object = {}) => declared.with({ guarantee: 'exactly-once', ...more })
    const connections = { kafka: brokers, db, far: brokers }
    const near = kafka.source({ topic: 'orders', group: 'g', connection: 'kafka' })
    const outTo = (connection: string) => kafka.sink({ topic: 'out', connection })

    test('is had where a topic, state and positions are one transaction', () => {
      const declared = asked(flow(orders, json(), counted, out), { checkpoints: 'kafka' })
      expect(of(declared)).toEqual(['exactly-once', 'kafka.sink', true])
    })

    test('is had by a flow without state wherever it writes', () => {
      expect(flowOf(config(asked(flow(orders, out))))).toMatchObject({
        guarantee: 'exactly-once',
        checkpoints: 'kafka',
      })
      const declared = asked(flow(near, outTo('far')))
      expect(flowOf(config(declared, { connections }))).toMatchObject({ guarantee: 'exactly-once', checkpoints: 'far' })
      expect(flowOf(config(asked(flow(orders, json(), rows))))).toMatchObject({ checkpoints: 'db' })
    })

    test('is what a topic gets only where it is asked for', () => {
      expect(of(flow(orders, out).with({ checkpoints: 'kafka' }))).toEqual(['at-least-once', 'kafka.sink', false])
    })

    test.each([
      [
        'state is kept elsewhere',
        asked(flow(near, json(), counted, outTo('kafka'))),
        "'kafka.sink' can't give it: it writes to 'kafka', and checkpoints are kept in 'db'",
        "Set the flow's option checkpoints: 'kafka', and write to that one only.",
      ],
      [
        'it writes to several clusters',
        asked(
          flow(
            near,
            branch(
              to('far', (value: unknown) => value !== null, outTo('far')),
              otherwise('near', outTo('kafka')),
            ),
          ),
          { checkpoints: 'kafka' },
        ),
        "'kafka.sink' can't give it: it writes to 'far', and checkpoints are kept in 'kafka'",
        "Set the flow's option checkpoints: 'far', and write to that one only.",
      ],
      [
        'a sink has no transactions',
        asked(flow(near, consoleSink())),
        "'console' can't give it: it writes in no transaction",
        'Write to a database or a topic, or leave the guarantee to what the sink gives.',
      ],
      [
        'the source can not be read again',
        asked(flow(post, outTo('kafka'))),
        "'http.post' can't give it: it can not be read again after a crash",
        'Write it to a topic first, and read that.',
      ],
    ])('is refused where %s', (_, declared, why, hint) => {
      expect(faultsOf(config(declared, { connections }))).toEqual([
        expect.objectContaining({ message: `flow 'flow' asks for exactly-once, and ${why}`, hint }),
      ])
      expect(faultsOf(config(declared, { connections }))[0]?.declaredAt?.stack).toContain('compile.test.ts')
    })
  })

  test('is at most once where state is in memory', () => {
    expect(of(flow(orders, json(), counted, rows), { checkpoints: 'memory' })).toEqual([
      'at-most-once',
      'counted',
      true,
    ])
  })

  test('is at least once without state, wherever checkpoints are', () => {
    expect(of(flow(orders, json(), rows), { checkpoints: 'memory' })).toEqual(['at-least-once', 'postgres.sink', false])
  })

  test('is at least once where the source can not be read again', () => {
    expect(of(flow(post, rows))).toEqual(['at-least-once', 'http.post', true])
  })

  test('is the least of all branches and inputs', () => {
    const branches = branch(
      to('rows', () => true, rows),
      otherwise('topic', kafka.sink({ topic: 'out' })),
    )
    expect(of(flow(orders, json(), branches)).slice(0, 2)).toEqual(['at-least-once', 'kafka.sink'])
    expect(of(flow(merge(from(orders, json<string>()), post), rows)).slice(0, 2)).toEqual([
      'at-least-once',
      'http.post',
    ])
  })
})

describe('a stage', () => {
  test('has a name of its own, whatever others are called', () => {
    const named = (name: string) => map((value: unknown) => value, { name })
    const declared = flow(
      orders,
      map((value) => value),
      named('map-2'),
      named('map'),
      named('map-2'),
      consoleSink(),
    )
    expect(flowOf(config(declared)).summary.map(({ name }) => name)).toEqual([
      'kafka.source',
      'map',
      'map-2',
      'map-2-2',
      'map-2-3',
      'console',
    ])
  })

  test('rejects as its options say, or as it usually does', () => {
    const declared = flow(
      orders,
      json(z.string(), { onError: 'skip' }),
      json(),
      filter(() => true),
      consoleSink(),
    )
    expect(flowOf(config(declared)).parts[0]?.stages.map(({ policy }) => policy)).toEqual([
      'skip',
      'dead-letter',
      'fail',
    ])
  })

  test('has its settings read from the environment', () => {
    const sink = kafka.sink({ topic: env('TOPIC').default('by-default') })
    const topicOf = (environment: Environment) =>
      compiled(config(flow(orders, sink)), environment).flows[0]?.parts[0]?.end
    expect(topicOf({})).toMatchObject({ options: { topic: 'by-default' } })
    expect(topicOf({ TOPIC: 'mine' })).toMatchObject({ options: { topic: 'mine' } })
  })

  test('has another setting read where the first is not set', () => {
    const setting = env('FIRST').or(env('SECOND').default('neither'))
    const read = (environment: Environment) =>
      [setting, setting.map((text) => text.length)].map((s) => s.read(environment))
    expect(read({ FIRST: 'a', SECOND: 'bb' })).toEqual(['a', 1])
    expect(read({ FIRST: '', SECOND: 'bb' })).toEqual(['bb', 2])
    expect(read({})).toEqual(['neither', 7])
    expect(env('FIRST').or(secret('SECOND')).isSecret).toBe(true)
  })

  test.each<[string, Setting<unknown>, unknown, unknown]>([
    ['optional', env('FIRST').or(env('SECOND')).optional(), '7', undefined],
    ['by default', env('FIRST').or(env('SECOND')).default('neither'), '7', 'neither'],
    ['a number', env('FIRST').or(env('SECOND')).int().optional(), 7, undefined],
    ['of three', env('FIRST').or(env('OTHER')).or(env('SECOND')).optional(), '7', undefined],
    ['behind a default', env('FIRST').default('x').or(env('SECOND')), '7', 'x'],
    ['a number by default', env('FIRST').default('3').int(), 3, 3],
  ])('does not forget the other setting: %s', (_, setting, second, neither) => {
    expect([setting.read({ SECOND: '7' }), setting.read({})]).toEqual([second, neither])
  })

  test('names each that could have been set', () => {
    const setting = env('FIRST').or(env('SECOND'))
    expect(() => setting.read({})).toThrow('reading the environment: FIRST or SECOND is not set')
    expect(() => setting.int().read({ SECOND: 'x' })).toThrow("'x' is not a whole number")
  })

  test('may have a source that sends what it rejects to the dead letters', () => {
    const stream = flow(sse({ url: 'https://stream.example/' }), rows)
    expect(messagesOf({ connections: { db }, flows: { stream } })).toEqual([
      "flow 'stream': sse sends what it rejects to the dead letters, and no connection takes them",
    ])
    expect(flowOf(config(stream)).deadLetters).toMatchObject({ connection: 'kafka' })
    const skipping = flow(sse({ url: 'https://stream.example/', onError: 'skip' }), consoleSink())
    expect(messagesOf({ connections: { db }, flows: { skipping } })).toEqual([])
  })
})

describe('the limits of an epoch', () => {
  const limits = (declared: Flow) => flowOf(config(declared)).parts[0]?.limits

  test('are the usual ones, those that suit the source, or those of the flow', () => {
    const declared = flow(orders, consoleSink())
    expect(limits(declared)).toEqual({ maxRecords: 40_000, maxBytes: 64 << 20, everyMs: 1_000 })
    expect(limits(declared.with({ epoch: { maxRecords: 5, every: '30s' } }))).toEqual({
      maxRecords: 5,
      maxBytes: 64 << 20,
      everyMs: 30_000,
    })
  })

  test('are shorter behind an internal topic, unless the flow says so itself', () => {
    const declared = flow(orders, counted, consoleSink())
    const everyMs = (given: Flow) => flowOf(config(given)).parts.map((part) => part.limits.everyMs)
    expect(everyMs(declared)).toEqual([1_000, 250])
    expect(everyMs(declared.with({ epoch: { every: '30s' } }))).toEqual([30_000, 30_000])
  })

  test('are wider where a flow asks for exactly once, unless it says so itself', () => {
    const declared = flow(orders, kafka.sink({ topic: 'out' })).with({ guarantee: 'exactly-once' })
    expect(limits(declared)).toEqual({ maxRecords: 100_000, maxBytes: 64 << 20, everyMs: 1_000 })
    expect(limits(declared.with({ epoch: { maxRecords: 5 } }))).toMatchObject({ maxRecords: 5 })
  })
})

describe('a topology', () => {
  const declared = flow(
    merge(from(orders, json<{ eu: boolean }>()), http.post('/orders', { body: z.object({ eu: z.boolean() }) })),
    filter(() => true, { name: 'wanted' }),
    branch(
      to('eu', ({ eu }) => eu, aggregate('per-window', { window: tumbling('30s'), of: count() }), rows),
      otherwise('rest', kafka.sink({ topic: 'rest' })),
    ),
  )
  const topology = compiled(config(declared, { app: 'shop' }))

  test('is printed a stage a line, with what feeds it', () => {
    expect(printTopology(topology)).toMatchInlineSnapshot(`
      "shop (checkpoints: db)

      flow flow: at-least-once, set by kafka.sink (Writes records to a Kafka topic, idempotently and in the order of each key.)
        ▶ kafka.source  orders
        │ recordTime     ← kafka.source
        │ json           ← recordTime
        ▶ http.post     POST /orders
        │ recordTime-2   ← http.post
        │ wanted         ← json, recordTime-2
        │ per-window    tumbling 30000 ms [store per-window] ← wanted
        ■ postgres.sink rows ← per-window
        ■ kafka.sink    rest ← wanted"
    `)
  })

  test('tells where a flow keeps its own checkpoints', () => {
    const moved = compiled(config(declared.with({ checkpoints: 'memory' }), { app: 'shop' }))
    expect(printTopology(moved)).toContain('flow flow (checkpoints: memory): at-most-once')
    expect(compareTopologies(topology, moved)).toEqual([
      '~ flow flow: checkpoints db → memory',
      '~ flow flow: at-least-once → at-most-once',
    ])
  })

  test('compared with itself differs in nothing', () => {
    expect(compareTopologies(topology, compiled(config(declared, { app: 'shop' })))).toEqual([])
  })

  test('compared with another tells flows, stages and guarantees that differ', () => {
    const before = compiled(
      config(flow(orders, json(), rows), {
        flows: { a: flow(kafka.source({ topic: 'orders', group: 'a' }), json(), rows), b: declared },
      }),
    )
    const after = compiled(
      config(declared, {
        flows: {
          a: flow(
            kafka.source({ topic: 'sales', group: 'g' }),
            map((value: unknown) => value),
            kafka.sink({ topic: 'out' }),
          ),
          c: declared,
        },
      }),
    )
    expect(compareTopologies(before, after)).toEqual([
      '- flow b',
      '- flow a: stage json',
      '- flow a: stage postgres.sink',
      '+ flow a: stage map',
      '+ flow a: stage kafka.sink',
      '~ flow a: stage kafka.source',
      '~ flow a: exactly-once → at-least-once',
      '+ flow c',
    ])
  })

  test('knows whether a flow needs all partitions in one place', () => {
    const isGlobal = (given: WeirConfig) => flowOf(given).parts.some(({ global }) => global)
    expect(isGlobal(config(flow(orders, consoleSink())))).toBe(false)
    expect(isGlobal(config(declared))).toBe(true)
    const everywhere = defineOperator({
      name: 'all',
      summary: '-',
      options: z.strictObject({}),
      global: true,
      build: () => map as never,
    })
    const sink = defineSink({
      name: 'end',
      summary: '-',
      options: z.strictObject({}),
      guarantee: () => 'at-least-once',
      build: () => ({}) as never,
    })
    expect(isGlobal(config(flow(orders, everywhere.declare({}), sink.declare({}))))).toBe(true)
  })

  test('an aggregate of what an aggregate makes is refused, in a branch and behind an input too', () => {
    const totals = (name: string) => aggregate(name, { of: { n: count() } })
    const twice = flow(orders, totals('first'), totals('second'), consoleSink())
    expect(() => flowOf(config(twice))).toThrow("'second' aggregates what another aggregate makes")
    const branched = flow(orders, totals('first'), branch(otherwise('rest', totals('second'), consoleSink())))
    expect(() => flowOf(config(branched))).toThrow("'second' aggregates what another aggregate makes")
    const behind = flow(merge(from(orders, totals('first')), orders), totals('second'), consoleSink())
    expect(() => flowOf(config(behind))).toThrow("'second' aggregates what another aggregate makes")
    const beside = flow(
      orders,
      branch(
        to('some', () => true, totals('first'), consoleSink()),
        otherwise('rest', totals('second'), consoleSink()),
      ),
    )
    expect(flowOf(config(beside)).parts[0]?.summary.flatMap(({ stores }) => stores)).toEqual(['first', 'second'])
  })
})

describe('checkpoints are kept', () => {
  const cache = redis({ url: 'redis://cache' })
  const connections = { kafka: brokers, db, cache }
  const keeper = (checkpoints: string | undefined, environment: Environment = {}, more: Partial<WeirConfig> = {}) =>
    compiled(
      config(flow(orders, json(), counted, rows), {
        connections,
        ...(checkpoints === undefined ? {} : { checkpoints }),
        ...more,
      }),
      environment,
    ).flows.map(({ checkpoints: kept }) => kept)

  test.each<[string, string, Environment]>([
    ['by the connection of that name', 'cache', {}],
    ['by the only connection of that kind', 'redis', {}],
    ['where WEIR_CHECKPOINTS says, by name', 'db', { WEIR_CHECKPOINTS: 'cache' }],
    ['where WEIR_CHECKPOINTS says, by kind', 'db', { WEIR_CHECKPOINTS: 'redis' }],
    ['where the configuration says when WEIR_CHECKPOINTS is empty', 'redis', { WEIR_CHECKPOINTS: '' }],
  ])('%s', (_, given, environment) => expect(keeper(given, environment)).toEqual(['cache']))

  test('in memory where WEIR_CHECKPOINTS says so', () => {
    expect(keeper('db', { WEIR_CHECKPOINTS: 'memory' })).toEqual(['memory'])
  })

  test('by the connection of that name, whatever the kind of others', () => {
    expect(keeper('redis', {}, { connections: { ...connections, redis: cache } })).toEqual(['redis'])
  })

  test('where a flow says, by name or kind, whatever else is said', () => {
    const flows = Object.fromEntries(
      ['db', 'postgres'].map((checkpoints) => [
        checkpoints,
        flow(kafka.source({ topic: 'orders', group: checkpoints }), json(), rows).with({ checkpoints }),
      ]),
    )
    expect(keeper('cache', { WEIR_CHECKPOINTS: 'memory' }, { flows })).toEqual(['db', 'db'])
  })

  test.each<[string, Environment, Partial<WeirConfig>, string, string]>([
    [
      'cash',
      {},
      {},
      "checkpoints: no connection 'cash'",
      "Declare it, or name 'kafka' or 'db' or 'cache' or 'memory'.",
    ],
    [
      'db',
      { WEIR_CHECKPOINTS: 'mysql' },
      {},
      "WEIR_CHECKPOINTS: no connection 'mysql'",
      "Declare it, or name 'kafka' or 'db' or 'cache' or 'memory'.",
    ],
    [
      'redis',
      {},
      { connections: { ...connections, other: cache } },
      'checkpoints: there are several redis connections',
      "Name 'cache' or 'other'.",
    ],
    [
      'db',
      { WEIR_CHECKPOINTS: 'other' },
      { connections: { ...connections, none: other({}) } },
      "WEIR_CHECKPOINTS: a other connection ('none') can't keep them",
      "Name a connection that keeps data, or 'memory'.",
    ],
  ])('nowhere when %j is asked for, with %j', (checkpoints, environment, more, message, hint) => {
    expect(faultsOf(config(flow(orders, json(), rows), { connections, checkpoints, ...more }), environment)).toEqual([
      expect.objectContaining({ message, hint }),
    ])
  })
})
