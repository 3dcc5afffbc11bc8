import { EMPTY } from 'rxjs'
import { describe, expect, test } from 'vitest'
import type { Io } from '../../src/cli/io.js'
import { setTime } from '../../src/cli/set-time.js'
import { SeismicEvent } from '../../src/flows/seismic.js'
import { kafka, time } from '../../src/index.js'

const io: Io = {
  env: {},
  cwd: '/nowhere',
  stdout: { write: () => true },
  stderr: { write: () => true },
  signals$: EMPTY,
  startWorker: () => {
    throw new Error('no worker')
  },
}

/** What each place that takes a time from somebody says of a text. */
const readers: Record<string, (text: string) => boolean | Promise<boolean>> = {
  'time()': (text) => time().safeParse(text).success,
  'kafka.source({ from })': (from) => {
    const { definition, options } = kafka.source({ topic: 't', from })
    return definition.options.safeParse(options).success
  },
  'an event of an earthquake': (text) => SeismicEvent.shape.time.safeParse(text).success,
  // There is no configuration here: what is read at all goes on to that.
  'weir state set-time --to': (to) =>
    setTime('flow', { to }, io).catch((error: Error) => !/is no time/.test(error.message)) as Promise<boolean>,
}

describe.each(Object.entries(readers))('%s', (_, takes) => {
  test.each(['2026-11-29T10:00:00Z', '2026-11-29T10:00:00.1234567890Z', '2026-11-29T10:00:00+0000', '2026-11-29'])(
    'takes %s',
    async (text) => {
      expect(await takes(text)).toBe(true)
    },
  )

  test.each(['2026-02-31T00:00:00Z', '2026-11-29T10:00:00+99:99', 'line 7', 'Nov 29 2026', ''])(
    'refuses %s',
    async (text) => {
      expect(await takes(text)).toBe(false)
    },
  )
})
