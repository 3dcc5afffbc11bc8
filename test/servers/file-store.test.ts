import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lastValueFrom, toArray } from 'rxjs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { BlobStore } from '../../src/sinks/archive/blob-store.js'
import { openStore, storeOptions } from '../../src/sinks/archive/open-store.js'
import { done, names, opened, read, write } from '../contracts/blob-stores.contract.js'
import { BlobProcess } from '../support/blob-process.js'
import { content } from '../support/content.js'
import { hastyClock } from '../support/hasty-clock.js'
import { listLog } from '../support/list-log.js'
import { isRoot } from './server-support.js'

let folder: string
const log = listLog()

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weir-files-'))
  log.lines.length = 0
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const optionsOf = (path: string) => ({ backend: 'file', path })

function open(path = folder, patienceMs = Number.POSITIVE_INFINITY): BlobStore {
  return openStore(storeOptions.parse(optionsOf(path)), { clock: hastyClock(20), log, patienceMs })
}

const leftovers = (path: string) => readdirSync(path).filter((name) => name.startsWith('.weir-'))

test('the folder of a store need not be there', async () => {
  const store = open(join(folder, 'not/yet'))
  expect(await names(store)).toEqual([])
  await expect(read(store, 'a')).rejects.toMatchObject({ code: 'WEIR_BLOB_MISSING' })
  expect(existsSync(join(folder, 'not'))).toBe(false)
  await write(store, 'a/b', content(3))
  expect(readFileSync(join(folder, 'not/yet/a/b')).equals(content(3))).toBe(true)
})

test('a folder that somebody removes is made again', async () => {
  const store = open()
  await write(store, 'a/b/one', content(3))
  rmSync(join(folder, 'a'), { recursive: true })
  await write(store, 'a/b/two', content(3))
  expect(await names(store)).toEqual(['a/b/two'])
})

test('the base may be a link, and no folder below it one that leads out', async () => {
  mkdirSync(join(folder, 'base'))
  mkdirSync(join(folder, 'elsewhere'))
  writeFileSync(join(folder, 'elsewhere/secret'), 'secret')
  symlinkSync(join(folder, 'base'), join(folder, 'link'))
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'base/out'))
  symlinkSync(join(folder, 'elsewhere/secret'), join(folder, 'base/file'))
  symlinkSync(join(folder, 'nowhere'), join(folder, 'base/dangling'))
  const store = open(join(folder, 'link'), 0)
  await write(store, 'a/b', content(3))
  const refused = { code: 'WEIR_BLOB_REFUSED', hint: expect.stringContaining('Remove the link') }
  await expect(write(store, 'out/sub/b', content(3))).rejects.toMatchObject(refused)
  await expect(write(store, 'out/b', content(3))).rejects.toMatchObject(refused)
  await expect(read(open(join(folder, 'link'), 0), 'out/secret')).rejects.toMatchObject(refused)
  await expect(read(open(join(folder, 'link'), 0), 'file', { from: 0, to: 6 })).rejects.toMatchObject(refused)
  await expect(done(open(join(folder, 'link'), 0).remove('out/secret'))).rejects.toMatchObject(refused)
  await expect(write(open(join(folder, 'link'), 0), 'dangling/b', content(3))).rejects.toMatchObject({
    name: 'WeirError',
  })
  expect(readdirSync(join(folder, 'elsewhere'))).toEqual(['secret'])
  expect(existsSync(join(folder, 'nowhere'))).toBe(false)
  expect(await names(open(join(folder, 'link')))).toEqual(['a/b'])
})

test('a file where a folder has to be, or a folder where a file, is a conflict', async () => {
  const store = open()
  await write(store, 'a', content(3))
  await write(store, 'b/c', content(3))
  await expect(write(store, 'a/file', content(3))).rejects.toMatchObject({ code: 'WEIR_BLOB_CONFLICT' })
  await expect(write(store, 'b', content(3))).rejects.toMatchObject({ code: 'WEIR_BLOB_CONFLICT' })
  expect(leftovers(folder)).toEqual([])
  expect(await names(store)).toEqual(['a', 'b/c'])
})

test('what a killed writer has left is told from one at work by its age', async () => {
  const store = open()
  const dead = store.create('a/dead')
  const alive = store.create('a/alive')
  for (const writer of [dead, alive]) await done(writer.write(content(1_500_000)))
  const [one = '', other = ''] = leftovers(join(folder, 'a'))
  const yesterday = Date.now() / 1_000 - 86_400
  utimesSync(join(folder, 'a', one), yesterday, yesterday)
  expect(await lastValueFrom(store.sweep(Date.now() - 3_600_000).pipe(toArray()))).toEqual([`a/${one}`])
  expect(leftovers(join(folder, 'a'))).toEqual([other])
  // One that was swept too early does not become a file with a hole, but has to be written again.
  const ends = await Promise.allSettled([done(dead.complete()), done(alive.complete())])
  expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  expect(ends.find((end) => end.status === 'rejected')?.reason).toMatchObject({
    code: 'WEIR_BLOB_MISSING',
    remedy: 'retry',
  })
  expect((await names(store)).length).toBe(1)
})

test('a file that was cut by somebody is not taken for its own', async () => {
  const store = open()
  await write(store, 'file', content(3_000_000))
  truncateSync(join(folder, 'file'), 2_000_000)
  await expect(write(store, 'file', content(3_000_000))).rejects.toMatchObject({
    code: 'WEIR_BLOB_CONFLICT',
    message: expect.stringContaining('of 2000000 bytes instead of 3000000'),
  })
})

test.skipIf(!isRoot)(
  'a folder that may not be written is told with what to do, and used as soon as it may',
  async () => {
    chmodSync(folder, 0o755)
    const work = { store: optionsOf(join(folder, 'base')), name: 'a/file', bytes: 10, uid: 65_534 }
    const refused = new BlobProcess(work)
    await refused.exited
    expect(refused.said).toMatch(
      /WEIR_BLOB_REFUSED writing .*permission denied.* Let the user that Weir runs as write there/,
    )
    chmodSync(folder, 0o777)
    const allowed = new BlobProcess(work)
    await allowed.exited
    expect(allowed.said).toBe('written\ncomplete\n')
  },
)

/** A disk of one mebibyte, where this user may mount one. */
function mounted(path: string): boolean {
  try {
    mkdirSync(path)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

test('a disk that is full is told with what to do, and written on as soon as there is room', async (context) => {
  const disk = join(folder, 'disk')
  if (!mounted(disk)) return context.skip('no disk can be mounted here')
  try {
    writeFileSync(join(disk, 'filler'), content(700_000))
    const store = open(disk)
    const small = write(store, 'a/small', content(500_000))
    expect(await opened(store)).toMatchObject({ error: { code: 'WEIR_BLOB_REFUSED' } })
    expect(log.lines).toEqual([expect.stringMatching(/^error: .*ENOSPC.*Free space on its disk/)])
    expect(await names(open(disk))).toEqual(['filler'])
    rmSync(join(disk, 'filler'))
    await small
    expect((await read(store, 'a/small')).equals(content(500_000))).toBe(true)
    expect(leftovers(join(disk, 'a'))).toEqual([])
    expect(store.state).toEqual({ state: 'closed' })
  } finally {
    execFileSync('umount', [disk])
  }
})
