import { BlobFault } from './blob-fault.js'

/** Of one folder or file: what file systems take, and the stores that lie on them. */
const longestPart = 255
/** Of a whole name: what S3, Google and Azure take. */
const longestName = 1_024

/** What files are called that are being written; no other file is. */
export const unfinishedPrefix = '.weir-'

export function isUnfinished(name: string): boolean {
  return name.slice(name.lastIndexOf('/') + 1).startsWith(unfinishedPrefix)
}

/** Why no file can have this name in every store, or undefined when it can. Lengths are those in UTF-8. */
export function nameFault(name: string): string | undefined {
  if (!name.isWellFormed()) return 'it is no Unicode text'
  if (/[\p{Cc}\\]/u.test(name)) return 'it has a control character or a backslash'
  if (Buffer.byteLength(name) > longestName) return `it has more than ${longestName} bytes`
  return name.split('/').map(partFault).find(Boolean)
}

function partFault(part: string): string | undefined {
  if (part === '') return 'a part of it is empty'
  // Azure takes a dot at an end away, and others go elsewhere by dots alone.
  if (part.endsWith('.')) return 'a part of it ends in a dot'
  if (part.startsWith(unfinishedPrefix)) return `a part of it begins with ${unfinishedPrefix}`
  return Buffer.byteLength(part) > longestPart ? `a part of it has more than ${longestPart} bytes` : undefined
}

/** Errors: WEIR_BLOB_NAME. */
export function checkName(name: string, doing: string): void {
  const fault = nameFault(name)
  if (fault === undefined) return
  throw new BlobFault('WEIR_BLOB_NAME', `${doing}: ${fault}`, {
    hint: 'Escape what the name is made of, or shorten it.',
  })
}
