import { defer, EMPTY, lastValueFrom, of } from 'rxjs'
import { expect, test, vi } from 'vitest'
import { EncodingTime } from '../../src/codecs/archive/encoding-time.js'
import type { FileEncoder } from '../../src/codecs/archive/file-format.js'
import { plainRow } from '../support/archive-rows.js'

test('how long rows take to become bytes is reckoned from some of them', async () => {
  let now = 0
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now)
  const encoder: FileEncoder = {
    add: () => void (now += 2),
    buffered: 0,
    isReady: false,
    take: () => EMPTY,
    end: () =>
      defer(() => {
        now += 500
        return of(Buffer.from('end'))
      }),
  }
  const time = new EncodingTime()
  const row = plainRow(0)
  for (let index = 0; index < 6_100; index++) time.add(encoder, row)
  expect(time.seconds).toBeCloseTo(12.2)
  expect(clock).toHaveBeenCalledTimes(200)
  expect(Buffer.from(await lastValueFrom(time.end(encoder))).toString()).toBe('end')
  expect(time.seconds).toBeCloseTo(12.7)
})
