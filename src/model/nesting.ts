const [quote, backslash] = [0x22, 0x5c]
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]

/** How deep JSON may nest where nobody says otherwise: what is parsed has to be written again, by recursion. */
export const usualDepth = 100

/** Whether arrays and objects nest deeper than `depth` in the bytes of a JSON text: told before any of it is parsed. */
export function nestsDeeper(json: Uint8Array, depth: number): boolean {
  // Each level opens and closes.
  if (json.length <= 2 * depth) return false
  let open = 0
  let isText = false
  for (let index = 0; index < json.length; index++) {
    const byte = json[index] as number
    if (isText) {
      if (byte === backslash) index++
      else if (byte === quote) isText = false
    } else if (byte === quote) isText = true
    else if (byte === openArray || byte === openObject) {
      if (++open > depth) return true
    } else if (byte === closeArray || byte === closeObject) open--
  }
  return false
}
