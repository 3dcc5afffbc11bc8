import { describe, expect, test } from 'vitest'
import { hopping, tumbling, type WindowSpec } from '../../src/index.js'
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
