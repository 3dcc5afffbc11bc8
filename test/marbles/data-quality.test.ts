import { of } from 'rxjs'
import { expect, test } from 'vitest'
import { dataQuality } from '../../src/flows/data-quality.js'
import type { CheckResult, Incident, Sink } from '../../src/index.js'
import { marbles } from '../../src/testing/index.js'
import { FakeDatabase, ServerError } from '../support/fake-database.js'

const minute = 60_000
const names = [
  'there are events',
  'each id once',
  'events are new',
  'events have users',
  'types are known',
  'purchases have prices',
]
const good = [120, 0, 3.5, 0, 0, 0]

/** What the checks find in each run, and what is told of incidents. */
function runs(...answers: readonly (readonly (number | Error)[])[]) {
  const results: CheckResult[][] = []
  const told: Incident<CheckResult>[] = []
  marbles(({ flow }) => {
    const numbers = answers.flat()
    const db = new FakeDatabase(() => {
      const answer = numbers.shift() ?? 0
      return answer instanceof Error ? answer : of([{ count: String(answer) }])
    })
    const running = flow(dataQuality, { connections: { db: db.declared } })
    for (const [index] of answers.entries()) {
      const timestamp = index * minute
      running.source(`${index * 10}ms r`, { r: { at: new Date(timestamp).toISOString() } }, { timestamp })
    }
    running.sink('', {}, 'nothing')
    running.virtual.written$.subscribe(({ value }) => {
      if (Array.isArray(value)) results.push(value as CheckResult[])
      else told.push(value as Incident<CheckResult>)
    })
  })()
  return { results, told }
}

test('each run makes all checks, and their results are written together', () => {
  const { results, told } = runs(good)
  expect(results.map((all) => all.map(({ check, status }) => [check, status]))).toEqual([
    names.map((name) => [name, 'passed']),
  ])
  expect(told).toEqual([])
})

test('what fails is told once, and when it passes again', () => {
  const bad = [120, 0, 301, 0, 0, 4]
  const { results, told } = runs(good, bad, bad, good)
  expect(results).toHaveLength(4)
  expect(told.map(({ key, status, level, at }) => [key, status, level, at.getTime() / minute])).toEqual([
    ['events are new', 'opened', 'error', 1],
    ['purchases have prices', 'opened', 'error', 1],
    ['events are new', 'resolved', 'error', 3],
    ['purchases have prices', 'resolved', 'error', 3],
  ])
})

test('what can not be asked says so, and is an incident as well', () => {
  const missing = new ServerError('relation "pipeline.events" does not exist', 'setup')
  const { results } = runs(names.map(() => missing))
  expect(results[0]?.map(({ status }) => status)).toEqual(names.map(() => 'errored'))
  const { results: empty, told } = runs([0, 0, new ServerError('made', 'record'), 0, 0, 0], good)
  expect(told.map(({ key, status }) => [key, status])).toEqual([
    ['there are events', 'opened'],
    ['events are new', 'opened'],
    ['there are events', 'resolved'],
    ['events are new', 'resolved'],
  ])
  expect(empty).toHaveLength(2)
  expect(results[0]?.[0]?.message).toContain('relation "pipeline.events" does not exist')
})

test('rows have the columns of their tables', () => {
  const { end } = dataQuality
  const rowOf = (table: string, value: unknown) => {
    const sinks = 'branches' in end ? end.branches.map((branch) => (branch.end as Sink<never>).options) : []
    const options = sinks as { table: string; row: (value: unknown) => object }[]
    return options.find((each) => each.table === table)?.row(value)
  }
  const bad = [120, 0, 3, 0, 0, 4]
  const { results, told } = runs(bad, good)
  expect(rowOf('pipeline.quality_results', results[0]?.at(-1))).toEqual({
    run_at: '1970-01-01T00:00:00.000Z',
    check_name: 'purchases have prices',
    kind: 'custom',
    status: 'failed',
    severity: 'error',
    value: 4,
    message: '4 purchases of the last minute for nothing: at most 0 may be',
    duration_ms: 0,
  })
  expect(told.map((incident) => rowOf('pipeline.quality_incidents', incident))).toEqual([
    expect.objectContaining({
      incident: 'purchases have prices@1970-01-01T00:00:00.000Z',
      check_name: 'purchases have prices',
      state: 'open',
      severity: 'error',
      since: new Date(0),
      told_at: new Date(0),
      resolved_at: null,
      notices: 1,
      message: '4 purchases of the last minute for nothing: at most 0 may be',
    }),
    expect.objectContaining({
      incident: 'purchases have prices@1970-01-01T00:00:00.000Z',
      state: 'resolved',
      resolved_at: new Date(minute),
      notices: 2,
      message: '0 purchases of the last minute for nothing',
    }),
  ])
})
