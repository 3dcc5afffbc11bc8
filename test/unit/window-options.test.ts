import { describe, expect, test } from 'vitest'
import { count, hopping, recordKey, tumbling, type WindowSpec } from '../../src/index.js'
import { aggregateDefinition } from '../../src/operators/aggregate.js'
import { windowOptions } from '../../src/operators/windows.js'

describe('windows are refused', () => {
  test.each<readonly [what: string, window: unknown, path: string]>([
    ['that have no length', tumbling(0), 'size'],
    ['that do not move on', hopping('1h', { advance: 0 }), 'advance'],
    ['that leave gaps', hopping('1m', { advance: '1h' }), 'advance'],
    ['of which a record would lie in too many', hopping('30d', { advance: '1ms' }), 'advance'],
    ['that follow each other, with an advance', { kind: 'tumbling', size: '1h', advance: '1m' }, 'advance'],
    ['that overlap, without one', { kind: 'hopping', size: '1h' } satisfies WindowSpec, 'advance'],
  ])('%s', (_, window, path) => {
    expect(windowOptions.safeParse(window).error?.issues).toMatchObject([{ path: [path] }])
  })
})

test('an hour by the second is taken', () => {
  expect(windowOptions.parse(hopping('1h', { advance: '1s' }))).toMatchObject({ size: 3_600_000, advance: 1_000 })
})

describe('bounds are refused', () => {
  test.each<readonly [what: string, given: object, path: string]>([
    ['of what windows bound already', { by: recordKey, window: tumbling('1m'), ttl: '1h' }, 'window'],
    ['of all records as one', { maxKeys: 10 }, 'by'],
    ['of groups that lie in several partitions', { by: () => 'a', ttl: '1h' }, 'by'],
    ['that are not there, whose end is to be told', { by: recordKey, gone: 'emit' }, 'gone'],
    ['that leave no room', { by: recordKey, maxKeys: 0 }, 'maxKeys'],
  ])('%s', (_, given, path) => {
    const parsed = aggregateDefinition.options.safeParse({ name: 'sales', of: count(), ...given })
    expect(parsed.error?.issues).toMatchObject([{ path: [path] }])
  })
})
