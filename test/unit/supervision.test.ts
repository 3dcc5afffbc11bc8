import { describe, expect, test } from 'vitest'
import { Supervision } from '../../src/engine/supervision.js'
import { type ErrorCode, WeirError } from '../../src/model/index.js'

const error = (code: ErrorCode) => new WeirError(code, 'failing')
const at = (offset: number, partition = 0) => ({ topic: 't', partition, offset })

describe("a system's fault", () => {
  test.each([
    'WEIR_SINK_UNREACHABLE',
    'WEIR_SINK_FAILED',
    'WEIR_CHECKPOINT_UNREACHABLE',
    'WEIR_REGISTRY_UNREACHABLE',
    'WEIR_SOURCE_STALLED',
  ] as const)('is tried again for as long as it lasts: %s', (code) => {
    const supervision = new Supervision(3)
    const waits = Array.from({ length: 100 }, (_, index) => supervision.failed(error(code), index, [at(5)]))
    expect(waits.slice(0, 8)).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000])
    expect(waits).not.toContain(undefined)
  })

  test('does not count with what fails of the records', () => {
    const supervision = new Supervision(2)
    for (let round = 0; round < 10; round++) supervision.failed(error('WEIR_SINK_UNREACHABLE'), round, [])
    expect(supervision.failed(error('WEIR_STAGE_FAILED'), 10, [at(1)])).toBe(30_000)
    expect(supervision.failed(error('WEIR_SINK_UNREACHABLE'), 11, [at(1)])).toBe(30_000)
    expect(supervision.failed(error('WEIR_STAGE_FAILED'), 12, [at(1)])).toBeUndefined()
  })
})

describe('records that fail', () => {
  test('are awaited: an epoch beside them, or an empty one, ends no row of failures', () => {
    const supervision = new Supervision(10)
    supervision.failed(error('WEIR_RECORD_REFUSED'), 1_000, [at(7)])
    supervision.succeeded([at(3), at(90, 1)], 50, 2_000)
    supervision.succeeded([at(3), at(91, 1)], 0, 900_000)
    expect(supervision).toMatchObject({ failures: 1, failingSince: 1_000 })
    supervision.succeeded([at(7), at(91, 1)], 4, 900_001)
    expect(supervision).toMatchObject({ failures: 0, failingSince: undefined, error: undefined })
  })

  test('of a partition that has moved are awaited by its new owner', () => {
    const supervision = new Supervision(10)
    supervision.failed(error('WEIR_RECORD_REFUSED'), 0, [at(7)])
    supervision.succeeded([at(1, 1)], 1, 1)
    expect(supervision.failures).toBe(0)
  })

  test('and do not come again never stop a flow', () => {
    const supervision = new Supervision(2)
    for (let round = 0; round < 20; round++)
      expect(supervision.failed(error('WEIR_STAGE_FAILED'), round, undefined)).toBeGreaterThan(0)
  })
})

test('what goes another way about it is tried at once, and counts for nothing', () => {
  const supervision = new Supervision(1)
  const refused = new WeirError('WEIR_SINK_FAILED', 'a request was refused', { atOnce: true })
  expect(supervision.failed(refused, 0, [at(1)])).toBe(0)
  expect(supervision.failures).toBe(0)
})
