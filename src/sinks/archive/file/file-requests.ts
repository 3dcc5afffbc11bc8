import { constants } from 'node:fs'
import { lstat, open, readdir, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { EMPTY, type Observable } from 'rxjs'
import type { Clock } from '../../../model/index.js'
import { Asking } from '../asking.js'
import { isUnfinished } from '../blob-name.js'
import type { BlobEntry, ByteRange } from '../blob-store.js'
import type { BlobRequests, Page, Unfinished, Upload } from '../requests.js'
import { fileFault } from './faults.js'
import { FileUpload } from './file-upload.js'
import { Folders, syncFolder } from './folders.js'
import type { FileOptions } from './options.js'

const readBytes = 256 * 1_024

/** A folder of this machine, or one that is mounted here. */
export class FileRequests implements BlobRequests {
  readonly address: string
  readonly partBytes = 1_024 * 1_024
  private readonly ask: Asking
  private readonly folders: Folders

  constructor({ path, requestTimeout }: FileOptions, clock: Clock) {
    this.folders = new Folders(resolve(path))
    this.address = `file://${this.folders.base}`
    this.ask = new Asking({ address: this.address, timeoutMs: requestTimeout, clock, fault: fileFault })
  }

  put(name: string, bytes: Uint8Array): Observable<never> {
    return this.ask.done('writing', name, async () => {
      const upload = await this.open(name)
      try {
        await upload.finish(0, bytes)
      } catch (error) {
        await upload.discard().catch(() => undefined)
        throw error
      }
    })
  }

  begin(name: string): Observable<Upload> {
    return this.ask.one('writing', name, () => this.open(name))
  }

  stat(name: string): Observable<number> {
    return this.ask.many('looking at', name, () => this.sizeOf(name))
  }

  read(name: string, range: ByteRange): Observable<Uint8Array> {
    return this.ask.bytes('reading', name, async () => bytesOf(await this.folders.find(name), range))
  }

  /** All in one page. */
  list(prefix: string): Observable<Page<BlobEntry>> {
    return this.ask.one('listing', prefix, async () => {
      const items: BlobEntry[] = []
      for await (const name of this.walk('', prefix)) {
        if (!name.startsWith(prefix) || isUnfinished(name)) continue
        for (const bytes of await this.sizeOf(name)) items.push({ name, bytes })
      }
      return { items }
    })
  }

  remove(name: string): Observable<never> {
    return this.ask.done('removing', name, async () => {
      if ((await this.sizeOf(name)).length === 0) return
      const path = await this.folders.find(name)
      await rm(path, { force: true })
      await syncFolder(dirname(path))
    })
  }

  unfinished(): Observable<Page<Unfinished>> {
    return this.ask.one('looking for what was left behind in', '', async () => {
      const items: Unfinished[] = []
      for await (const name of this.walk('', '')) if (isUnfinished(name)) items.push(...(await this.leftover(name)))
      return { items }
    })
  }

  close(): Observable<never> {
    return EMPTY
  }

  private async open(name: string): Promise<FileUpload> {
    const parts = { name, partBytes: this.partBytes, ask: this.ask }
    const opened = async () => FileUpload.open({ ...parts, path: await this.folders.make(name) })
    try {
      return await opened()
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      this.folders.forget()
      return opened()
    }
  }

  /** None when there is no such file. */
  private async sizeOf(name: string): Promise<readonly number[]> {
    return ifThere(async () => {
      const found = await lstat(await this.folders.find(name))
      return found.isFile() ? [found.size] : []
    })
  }

  private leftover(name: string): Promise<readonly Unfinished[]> {
    return ifThere(async () => {
      const path = await this.folders.find(name)
      const drop = () => this.ask.done('removing', name, () => rm(path, { force: true }))
      return [{ name, since: (await lstat(path)).mtimeMs, drop }]
    })
  }

  /** The names of all files in a folder that may begin so; what is a link is none of ours. */
  private async *walk(folder: string, prefix: string): AsyncGenerator<string> {
    const entries = await ifThere(() => readdir(join(this.folders.base, folder), { withFileTypes: true }))
    for (const entry of entries) {
      const name = `${folder}${entry.name}`
      if (entry.isFile()) yield name
      const below = `${name}/`
      const isOnTheWay = below.startsWith(prefix) || prefix.startsWith(below)
      if (entry.isDirectory() && isOnTheWay) yield* this.walk(below, prefix)
    }
  }
}

/** What may go at any time: then there is nothing. */
async function ifThere<T>(found: () => Promise<readonly T[]>): Promise<readonly T[]> {
  try {
    return await found()
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return []
    throw error
  }
}

async function* bytesOf(path: string, { from, to }: ByteRange): AsyncGenerator<Uint8Array> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    for (let at = from; at < to; ) {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(Math.min(readBytes, to - at)), {
        position: at,
      })
      if (bytesRead === 0) return
      at += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}
