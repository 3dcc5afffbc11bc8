import { mkdir, open, realpath } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { BlobFault } from '../blob-fault.js'

/** The folders below a base, none of which leads out of it by a link. */
export class Folders {
  private readonly known = new Set<string>()

  constructor(readonly base: string) {}

  /** Where a file is, if its folder is there. Errors: WEIR_BLOB_REFUSED when that lies elsewhere. */
  async find(name: string): Promise<string> {
    const path = join(this.base, name)
    await this.checkInside(dirname(path))
    return path
  }

  /** Where a file goes. Makes its folder, and those above it, for good. */
  async make(name: string): Promise<string> {
    const path = join(this.base, name)
    const folder = dirname(path)
    if (this.known.has(folder)) return path
    await mkdir(this.base, { recursive: true })
    let below = this.base
    for (const part of name.split('/').slice(0, -1)) {
      const above = below
      below = join(above, part)
      if (await isMade(below)) await syncFolder(above)
      // Before anything is made in it.
      await this.checkInside(below)
    }
    this.known.add(folder)
    return path
  }

  /** Somebody has removed a folder that was there. */
  forget(): void {
    this.known.clear()
  }

  /** The base itself may be a link. */
  private async checkInside(folder: string): Promise<void> {
    const [base, real] = await Promise.all([realpath(this.base), realpath(folder)])
    if (real === base || real.startsWith(base.endsWith(sep) ? base : `${base}${sep}`)) return
    throw new BlobFault('WEIR_BLOB_REFUSED', `going to ${folder}: a link leads out of ${this.base}, to ${real}`, {
      hint: 'Remove the link: only the base itself may be one.',
    })
  }
}

async function isMade(folder: string): Promise<boolean> {
  try {
    await mkdir(folder)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/** What a file system says that has no need of it. */
const needless = ['EINVAL', 'ENOTSUP', 'EBADF', 'EPERM']

/** Has the names in a folder outlive a loss of power. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    if (!needless.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    await handle.close()
  }
}
