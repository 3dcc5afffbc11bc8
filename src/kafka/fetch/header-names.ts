/** Of how many names one is remembered; a power of two. */
const places = 64
/** Longer ones are read anew. */
const longest = 64

interface Name {
  readonly bytes: Uint8Array
  readonly text: string
}

/** The names of headers: a topic has few, each record has them, and to read one costs more than to compare it. */
export class HeaderNames {
  private readonly known: (Name | undefined)[] = new Array<Name | undefined>(places).fill(undefined)

  /** The text of so many bytes, at least one. */
  at(bytes: Uint8Array, start: number, size: number): string {
    const place = (size + bytes[start]! * 7 + bytes[start + size - 1]! * 13) & (places - 1)
    const name = this.known[place]
    if (name !== undefined && isSame(name.bytes, bytes, start, size)) return name.text
    const own = Buffer.from(bytes.subarray(start, start + size))
    const text = own.toString()
    if (size <= longest) this.known[place] = { bytes: own, text }
    return text
  }
}

function isSame(name: Uint8Array, bytes: Uint8Array, start: number, size: number): boolean {
  if (name.length !== size) return false
  for (let index = 0; index < size; index++) if (name[index] !== bytes[start + index]) return false
  return true
}
