import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { DuckDb } from '../support/duckdb.js'
import { Archive } from './archive-support.js'
import { KafkaCluster, requireKafka } from './kafka-broker.js'
import { isRoot } from './server-support.js'

const missing = requireKafka()
const because = missing === undefined ? '' : ` (${missing})`

describe.skipIf(missing !== undefined)(`an archive of a real topic${because}`, () => {
  let cluster: KafkaCluster
  let duckdb: DuckDb
  beforeAll(async () => {
    ;[cluster, duckdb] = await Promise.all([KafkaCluster.start(), DuckDb.start()])
  })
  afterAll(async () => {
    duckdb?.close()
    await cluster?.close()
  })
  const open = () => new Archive({ brokers: cluster.bootstrap, duckdb, partitions: 3 })

  test('each event is in one file, while processes are killed with files half written', async () => {
    const archive = open()
    await archive.send(300)
    const stop = archive.flood()
    for (let killed = 0; killed < 4; killed++) {
      const worker = archive.start()
      await worker.working(4)
      await sleep(Math.random() * 1_500)
      await worker.kill()
    }
    await stop()
    archive.start()
    await archive.settle()
  })

  test('each event is in one file, while one process sleeps, another takes over, and the first wakes up', async () => {
    const archive = open()
    await archive.send(300)
    const stop = archive.flood()
    const sleeper = archive.start()
    await sleeper.working(4)
    for (let slept = 0; slept < 2; slept++) {
      sleeper.signal('SIGSTOP')
      const heir = archive.start()
      await heir.working(4)
      sleeper.signal('SIGCONT')
      await heir.working(4)
      heir.signal('SIGTERM')
      await heir.exited
    }
    await stop()
    await archive.settle()
  })

  test('who is told to stop leaves no event behind that it has read', async () => {
    const archive = open()
    await archive.send(700)
    const worker = archive.start({ EVERY: '3600000', TELL: 'read' })
    await vi.waitFor(() => expect(worker.log).toContain('read 700\n'), 180_000)
    worker.signal('SIGTERM')
    await worker.exited
    expect(await archive.counted()).toEqual([700, 700, 700])
    archive.start({ EVERY: '1000' })
    await archive.send(10)
    await archive.settle()
  })

  test.skipIf(!isRoot).each([
    ['that the files go to', 'files'],
    ['of the spool', 'spool'],
  ])(
    'while the disk %s is full a worker is in health, not ready, and says why; then all goes on',
    async (_, folder) => {
      const archive = new Archive({ brokers: cluster.bootstrap, duckdb, partitions: 1, text: () => noise(300) })
      const fill = fullDisk(join(archive.folder, folder))
      await archive.send(1_000)
      const worker = archive.start({ HURRY: '20' })
      await vi.waitFor(() => expect(worker.log).toMatch(/\nhealthy, not ready: .*ENOSPC/), 180_000)
      // Longer than its probes let it be without a commit.
      const since = worker.log.length
      await sleep(4_000)
      expect(worker.log.slice(since)).not.toMatch(/ailing/)
      rmSync(fill)
      await archive.settle()
      await expect.poll(() => worker.log.trim().split('\n').at(-1)).toBe('healthy, ready')
    },
  )
})

const noise = (bytes: number) => randomBytes(bytes).toString('base64')

/** A disk of its own at that place, and a file that takes all of it. */
function fullDisk(path: string): string {
  mkdirSync(path)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', path])
  onTestFinished(() => void execFileSync('umount', ['--lazy', path]))
  const fill = join(path, 'fill')
  try {
    writeFileSync(fill, Buffer.alloc(8 << 20))
  } catch {
    // As far as there was space.
  }
  return fill
}
