import { EMPTY, identity, NEVER } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Engine } from '../../src/engine/index.js'
import { consoleSink, flow } from '../../src/index.js'
import {
  defineOperator,
  defineSink,
  defineSource,
  type Sink,
  type Source,
  silentLogger,
  systemClock,
} from '../../src/model/index.js'
import { compiled, config, orders } from '../support/compiling.js'

const codec = { version: 1, save: (value: unknown) => value, load: (saved: unknown) => saved }
const options = z.strictObject({})
const nothing = { summary: 'A stage of the test.', options }

const operator = (stores?: () => readonly string[]) =>
  defineOperator({
    ...nothing,
    name: 'keeps',
    ...(stores === undefined ? {} : { stores }),
    build: (_, context) => {
      context.store('seen', codec)
      return identity
    },
  }).declare({})

const sink = (stores?: () => readonly string[]): Sink<unknown> =>
  defineSink({
    ...nothing,
    name: 'writes',
    guarantee: () => 'at-least-once',
    ...(stores === undefined ? {} : { stores }),
    build: (_, context) => {
      context.store('seen', codec)
      return { write: () => EMPTY }
    },
  }).declare({})

const source = (stores?: () => readonly string[]): Source<unknown> =>
  defineSource({
    ...nothing,
    name: 'reads',
    replayable: true,
    positions: 'store',
    ...(stores === undefined ? {} : { stores }),
    build: (_, context) => {
      context.store('seen', codec)
      return { assignments$: NEVER } as never
    },
  }).declare({})

const stages = [
  [
    'an operator',
    (stores?: () => readonly string[]) => flow(orders, operator(stores) as never, consoleSink()),
    'keeps',
  ],
  ['a sink', (stores?: () => readonly string[]) => flow(orders, sink(stores) as never), 'writes'],
  ['a source', (stores?: () => readonly string[]) => flow(source(stores), consoleSink()), 'reads'],
] as const

const engineOf = (declared: ReturnType<(typeof stages)[0][1]>) =>
  new Engine(compiled(config(declared)), {
    clock: systemClock,
    log: silentLogger,
    http: { serve: () => NEVER },
    production: false,
    dataDirectory: '.',
  })

describe.each(stages)('a store that %s keeps and its definition does not tell of', (_, declared, stage) => {
  test('is refused: it would be lost at a restart, unnoticed', () => {
    expect(() => engineOf(declared())).toThrow(
      expect.objectContaining({
        code: 'WEIR_STORE_UNDECLARED',
        message: expect.stringMatching(new RegExp(`stage '${stage}': it keeps the store 'seen'.* tells of no stores`)),
        hint: expect.stringContaining("stores: () => ['seen']"),
      }),
    )
  })

  test('is refused under another name', () => {
    expect(() => engineOf(declared(() => ['known']))).toThrow(/tells of only 'known'/)
  })

  test('is taken when it is told of', () => {
    expect(engineOf(declared(() => ['seen'])).kept[0]?.stores.names).toEqual(['seen'])
  })
})
