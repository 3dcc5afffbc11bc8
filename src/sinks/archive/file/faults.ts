import { messageOf } from '../../../model/index.js'
import { BlobFault, type BlobFaultCode } from '../blob-fault.js'

/** What the errors of the system mean, and what to do about them; all others are the system's own and pass. */
const faults: Readonly<Record<string, readonly [BlobFaultCode, hint?: string] | undefined>> = {
  ENOSPC: ['WEIR_BLOB_REFUSED', 'Free space on its disk.'],
  EDQUOT: ['WEIR_BLOB_REFUSED', 'Raise the quota of its user, or free space.'],
  EACCES: ['WEIR_BLOB_REFUSED', 'Let the user that Weir runs as write there.'],
  EPERM: ['WEIR_BLOB_REFUSED', 'Let the user that Weir runs as write there.'],
  EROFS: ['WEIR_BLOB_REFUSED', 'Mount its disk for writing.'],
  ELOOP: ['WEIR_BLOB_REFUSED', 'Remove the link: only the base itself may be one.'],
  EMFILE: ['WEIR_BLOB_UNREACHABLE', 'Raise the limit of open files (ulimit -n).'],
  ENFILE: ['WEIR_BLOB_UNREACHABLE', 'Raise the limit of open files of the machine.'],
  ENAMETOOLONG: ['WEIR_BLOB_NAME', 'Shorten the name.'],
  EILSEQ: ['WEIR_BLOB_NAME', 'The file system of the folder takes no such names.'],
  ENOENT: ['WEIR_BLOB_MISSING'],
  EEXIST: ['WEIR_BLOB_CONFLICT', 'Move away what lies there.'],
  ENOTDIR: ['WEIR_BLOB_CONFLICT', 'A file lies where a folder has to be: move it away.'],
  EISDIR: ['WEIR_BLOB_CONFLICT', 'A folder lies where a file has to be: move it away.'],
}

/** What failed in doing something with a file. */
export function fileFault(doing: string, error: unknown): BlobFault {
  const { code } = error as NodeJS.ErrnoException
  const [kind, hint] = faults[code ?? ''] ?? ['WEIR_BLOB_UNREACHABLE']
  return new BlobFault(kind, `${doing}: ${messageOf(error)}`, { cause: error, ...(hint === undefined ? {} : { hint }) })
}
