import type { Input } from '../io.js'

const lineEnd = 0x0a
const carriageReturn = 0x0d

/** The lines of an input, as bytes and without their ends; those that came together, together. */
export async function* linesOf(input: Input): AsyncGenerator<readonly Buffer[]> {
  let begun: Buffer[] = []
  for await (const chunk of input) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk))
    const lines: Buffer[] = []
    let from = 0
    for (let end = bytes.indexOf(lineEnd); end >= 0; end = bytes.indexOf(lineEnd, from)) {
      lines.push(withoutReturn(Buffer.concat([...begun, bytes.subarray(from, end)])))
      begun = []
      from = end + 1
    }
    if (from < bytes.length) begun.push(bytes.subarray(from))
    if (lines.length > 0) yield lines
  }
  if (begun.length > 0) yield [withoutReturn(Buffer.concat(begun))]
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === carriageReturn ? line.subarray(0, -1) : line
}
