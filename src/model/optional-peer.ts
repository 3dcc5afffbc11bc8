import { createRequire } from 'node:module'
import { messageOf, WeirError } from './errors.js'

const require = createRequire(import.meta.url)

/**
 * A package that only those install who use it, loaded at its first use.
 * Errors: WEIR_CONFIG_INVALID with the line that installs it.
 */
export function loadPeer<T>(name: string, wantedBy: string): T {
  try {
    return require(name) as T
  } catch (error) {
    const isMissing =
      (error as { code?: unknown }).code === 'MODULE_NOT_FOUND' && messageOf(error).includes(`'${name}'`)
    const what = isMissing ? 'it is not installed' : messageOf(error)
    throw new WeirError('WEIR_CONFIG_INVALID', `loading ${name} for ${wantedBy}: ${what}`, {
      cause: error,
      ...(isMissing ? { hint: `Install it: npm install ${name}` } : {}),
    })
  }
}
