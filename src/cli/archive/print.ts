import type { Output } from '../io.js'

/** Writes as much as is taken, and waits where that is slow. Whether anybody still reads. */
export async function print(output: Output, text: string): Promise<boolean> {
  if (!isRead(output)) return false
  if (output.write(text) === false && output.once !== undefined) {
    const { once } = output
    await new Promise<void>((resolve) => {
      once.call(output, 'drain', resolve)
      once.call(output, 'close', resolve)
    })
  }
  return isRead(output)
}

function isRead({ writable }: Output): boolean {
  return writable !== false
}
