import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { NamedTopics } from '../../src/kafka/named-topics.js'
import { systemClock, WeirError } from '../../src/model/index.js'

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'performance'] }))
afterEach(() => void vi.useRealTimers())

test('a topic that was not there is looked for again after half a minute, though the wall clock was set back', async () => {
  const request = {
    partitions: 1,
    create: false,
    doing: 'writing',
    unreachable: 'WEIR_SINK_UNREACHABLE',
    place: {},
  } as const
  const ensure = () => Promise.reject(new WeirError('WEIR_CONFIG_INVALID', 'writing: there is no such topic'))
  const named = new NamedTopics({ ensure }, request, systemClock)
  await named.find('orders')
  expect(named.verdict('orders')).toMatchObject({ code: 'WEIR_RECORD_REFUSED' })
  vi.setSystemTime(Date.now() - 3_600_000)
  expect(named.verdict('orders')).toMatchObject({ code: 'WEIR_RECORD_REFUSED' })
  vi.advanceTimersByTime(31_000)
  expect(named.verdict('orders')).toBeUndefined()
})
