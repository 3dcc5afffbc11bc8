import { randomUUID } from 'node:crypto'
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Observable } from 'rxjs'
import type { Asking } from '../asking.js'
import { unfinishedPrefix } from '../blob-name.js'
import type { Upload } from '../requests.js'
import { syncFolder } from './folders.js'

/** What a file system says that knows no second name for a file. */
const withoutLinks = ['EPERM', 'ENOTSUP', 'ENOSYS', 'EOPNOTSUPP', 'EMLINK']

export interface FileParts {
  readonly name: string
  /** Where it goes. */
  readonly path: string
  readonly partBytes: number
  readonly ask: Asking
}

/** A file that is written beside its place, under a name that nobody reads, and gets its own when it is whole and on disk. */
export class FileUpload implements Upload {
  /** What the system is still at, even when nobody waits for it any more. */
  private busy: Promise<unknown> = Promise.resolve()
  private isNamed = false

  private constructor(
    private readonly parts: FileParts,
    private readonly aside: string,
    private readonly handle: FileHandle,
  ) {}

  static async open(parts: FileParts): Promise<FileUpload> {
    const aside = join(dirname(parts.path), `${unfinishedPrefix}${randomUUID()}.part`)
    return new FileUpload(parts, aside, await open(aside, 'wx'))
  }

  part(index: number, bytes: Uint8Array): Observable<never> {
    return this.next(() => this.write(index, bytes))
  }

  complete(index: number, bytes: Uint8Array): Observable<never> {
    return this.next(() => this.finish(index, bytes))
  }

  abort(): Observable<never> {
    return this.next(() => this.discard())
  }

  /** The same for who waits already. */
  async finish(index: number, bytes: Uint8Array): Promise<void> {
    if (!this.isNamed) {
      await this.write(index, bytes)
      await this.handle.sync()
      await this.name()
      this.isNamed = true
    }
    await rm(this.aside, { force: true })
    await syncFolder(dirname(this.parts.path))
    await this.handle.close()
  }

  async discard(): Promise<void> {
    await this.handle.close()
    await rm(this.aside, { force: true })
  }

  private async write(index: number, bytes: Uint8Array): Promise<void> {
    const start = index * this.parts.partBytes
    // One call may write less than it was given.
    for (let done = 0; done < bytes.length; ) {
      done += (await this.handle.write(bytes, done, bytes.length - done, start + done)).bytesWritten
    }
  }

  /** As a second name, which fails where there is one: a rename would replace what is there. */
  private async name(): Promise<void> {
    const { path } = this.parts
    try {
      await link(this.aside, path)
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException
      // What lies there may be ours, and be seen by nobody yet after a loss of power.
      if (code === 'EEXIST') await syncFolder(dirname(path))
      if (!withoutLinks.includes(code)) throw error
      await renameOnly(this.aside, path)
    }
  }

  /** Whoever has given up on one step may begin the next while the system is still at that one. */
  private next(step: () => Promise<void>): Observable<never> {
    const { ask, name } = this.parts
    return ask.done('writing', name, () => {
      const done = this.busy.then(step)
      this.busy = done.catch(() => undefined)
      return done
    })
  }
}

/** The next best: between the look and the rename another may come. */
async function renameOnly(from: string, to: string): Promise<void> {
  const isThere = await lstat(to).then(
    () => true,
    () => false,
  )
  if (isThere) throw Object.assign(new Error(`'${to}' is there already`), { code: 'EEXIST' })
  await rename(from, to)
}
