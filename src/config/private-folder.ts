import { chmodSync, lstatSync, mkdirSync } from 'node:fs'
import { userInfo } from 'node:os'

/** Makes a folder that nobody else can read or write. Undefined where that can't be had: it is somebody else's, or no folder. */
export function privateFolder(path: string): string | undefined {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const found = lstatSync(path)
    // Systems without users say -1.
    const own = userInfo().uid
    if (!found.isDirectory() || (own >= 0 && found.uid !== own)) return undefined
    if (own >= 0 && (found.mode & 0o077) !== 0) chmodSync(path, 0o700)
    return path
  } catch {
    return undefined
  }
}
