import { concatMap, map, timer } from 'rxjs'
import { expect, test } from 'vitest'
import { batch, flow, json, kafka, rx } from '../../src/index.js'
import type { StreamRecord } from '../../src/model/index.js'
import { marbles } from '../../src/testing/index.js'

const source = kafka.source({ topic: 'letters' })
const sink = kafka.sink({ topic: 'batches' })
const gathered = flow(source, json<string>(), batch({ size: 100 }), sink)
const epoch = { maxRecords: 100, everyMs: 1_000 }
const text = (letter: string) => `"${letter}"`
const letters = Object.fromEntries([...'abcdef'].map((letter) => [letter, text(letter)]))

test(
  'an epoch that has read all there is waits for more no longer than it is told, from its first record on',
  marbles(({ flow }) => {
    const run = flow(gathered, { epoch: { ...epoch, lingerMs: 5 } })
    run.source('a--b------c------', letters)
    run.sink('  -----x---------y-', { x: ['a', 'b'], y: ['c'] })
  }),
)

test(
  'without that it waits until its time is over',
  marbles(({ flow }) => {
    const run = flow(gathered, { epoch: { ...epoch, everyMs: 14 } })
    run.source('a--b------c------', letters)
    run.sink('  --------------x--', { x: ['a', 'b', 'c'] })
  }),
)

test(
  'what is there to read is read in one epoch, however long that takes',
  marbles(({ flow }) => {
    const run = flow(gathered, { epoch: { ...epoch, lingerMs: 5 } })
    run.source('(abcdef)---------', letters)
    run.sink('  -----x-----------', { x: [...'abcdef'] })
  }),
)

test(
  'one that took long to end is followed by one that waits half as long',
  marbles(({ flow: played }) => {
    // Writing what is left takes 6 ms.
    const slow = flow(
      source,
      json<string>(),
      batch({ size: 100 }),
      rx(concatMap((record: StreamRecord) => timer(6).pipe(map(() => record)))) as never,
      sink,
    )
    const run = played(slow, { epoch: { ...epoch, lingerMs: 2 } })
    run.source('a-------b-c---d---------------', letters)
    // At 2 the first ends, and at 8 it is written. Then 3 ms go by from the next one's first record, and 6 again.
    run.sink('  --------x--------y--------z---', { x: ['a'], y: ['b', 'c'], z: ['d'] })
    run.finally(({ stages }) => expect(stages.at(-1)?.in).toBe(3))
  }),
)
