import { expect, test } from 'vitest'
import { type SinkContext, type StreamRecord, silentLogger } from '../../src/model/index.js'
import { consoleDefinition, consoleSink } from '../../src/sinks/console.js'
import { marbles } from '../../src/testing/marbles.js'

function sink(options: object, context: Partial<SinkContext> = {}) {
  return consoleDefinition.build(consoleDefinition.options.parse(options), context as SinkContext)
}

test('prints each value as a line of JSON, and completes with its input', () => {
  const lines: string[] = []
  marbles(({ records, expectObservable, expectSubscriptions }) => {
    const source = records('-a-b-c-|', { a: { n: 1 }, b: 'two', c: undefined })
    const subs = '          ^------!'
    const expected = '      -------|'

    expectObservable(sink({ write: (line: string) => lines.push(line) }).write(source)).toBe(expected)
    expectSubscriptions(source.subscriptions).toBe(subs)
  })()
  expect(lines).toEqual(['{"n":1}', '"two"', 'null'])
})

test('prints to the log of the flow if it is given no writer', () => {
  const lines: unknown[] = []
  const log = { ...silentLogger, info: (line: unknown) => void lines.push(line) }
  marbles(({ records, expectObservable, expectSubscriptions }) => {
    const source = records('a|', { a: 1 })
    expectObservable(sink({}, { log }).write(source)).toBe('-|')
    expectSubscriptions(source.subscriptions).toBe('^!')
  })()
  expect(lines).toEqual(['1'])
})

test('rejects a value that JSON can not show', () => {
  const circle: unknown[] = []
  circle.push(circle)
  const rejected: StreamRecord[] = []
  const lines: string[] = []
  const context = { reject: (record: StreamRecord) => void rejected.push(record) }
  marbles(({ records, expectObservable, expectSubscriptions }) => {
    const source = records<unknown>('-a-b-|', { a: circle, b: 2n })
    const subs = '          ^----!'
    const expected = '      -----|'

    expectObservable(sink({ write: (line: string) => lines.push(line) }, context).write(source)).toBe(expected)
    expectSubscriptions(source.subscriptions).toBe(subs)
  })()
  expect(rejected.map(({ value }) => value)).toEqual([circle])
  expect(lines).toEqual(['2'])
})

test('passes an error on', () => {
  marbles(({ records, expectObservable, expectSubscriptions }) => {
    const source = records('-#', {}, 'broken')
    expectObservable(sink({ write: () => undefined }).write(source)).toBe('-#', {}, 'broken')
    expectSubscriptions(source.subscriptions).toBe('^!')
  })()
})

test('promises to print at least once', () => {
  expect(consoleSink().definition.guarantee({}, true)).toBe('at-least-once')
})
