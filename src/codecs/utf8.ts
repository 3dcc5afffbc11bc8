import { isUtf8 } from 'node:buffer'

/** Makes the same function for bytes that are mostly those of before: to see that takes a fraction of reading them. */
export function utf8Reader(): (bytes: Buffer) => string | undefined {
  let last = Buffer.alloc(0)
  let text: string | undefined = ''
  return (bytes) => {
    if (!isSame(bytes, last)) {
      last = Buffer.from(bytes)
      text = utf8Text(bytes)
    }
    return text
  }
}

function isSame(one: Buffer, other: Buffer): boolean {
  if (one.length !== other.length) return false
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false
  return true
}

/** The text that bytes are; undefined where they are no UTF-8. */
export function utf8Text(bytes: Buffer): string | undefined {
  const text = bytes.toString()
  // Bytes that are no UTF-8 become U+FFFD, and looking for that costs nothing in the text of one-byte characters.
  return text.includes('\uFFFD') && !isUtf8(bytes) ? undefined : text
}

/** Control characters that no text has. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const binary = /[\0-\x08\x0e-\x1f]/

/** The same as people read it; undefined also where there is what no text has. */
export function plainText(bytes: Buffer): string | undefined {
  const text = utf8Text(bytes)
  return text === undefined || binary.test(text) ? undefined : text
}
