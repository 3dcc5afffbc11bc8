import { isUtf8 } from 'node:buffer'

/** The text that bytes are; undefined where they are no UTF-8. */
export function utf8Text(bytes: Buffer): string | undefined {
  const text = bytes.toString()
  // Bytes that are no UTF-8 become U+FFFD, and looking for that costs nothing in the text of one-byte characters.
  return text.includes('\uFFFD') && !isUtf8(bytes) ? undefined : text
}
