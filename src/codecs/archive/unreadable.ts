import { messageOf, WeirError } from '../../model/index.js'

/** A file that is none of an archive, or damaged. */
export function unreadable(doing: string, error: unknown): WeirError {
  return new WeirError('WEIR_ARCHIVE_UNREADABLE', `${doing}: ${messageOf(error)}`, {
    cause: error,
    hint: 'It is damaged, or none that Weir has written.',
  })
}

/** Errors of a format tell that; those of a store are what they are. */
export async function reading<T>(doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof WeirError ? error : unreadable(doing, error)
  }
}
