import { gunzipSync } from 'node:zlib'
import { MalformedError } from './protocol/malformed.js'

const gzip = 1

/**
 * What a batch was before it was compressed. Errors: `MalformedError` where it is nothing that was compressed so, where it
 * would have more than `maxBytes`, and where this way is not known.
 */
export function decompress(compression: number, packed: Buffer, maxBytes: number): Buffer | Promise<Buffer> {
  if (compression !== gzip) throw new MalformedError('compression', `compression ${compression} is not known`)
  try {
    return gunzipSync(packed, { maxOutputLength: maxBytes })
  } catch (cause) {
    throw new MalformedError('corrupt', 'a batch that does not decompress', { cause })
  }
}
