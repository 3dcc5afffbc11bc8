import type { Output } from './io.js'

/** What nobody reads any more. The streams of a process stay writable when a write to them has failed. */
const unread = new WeakSet<Output>()
const watched = new WeakSet<Output>()

/** Writes as much as is taken, and waits where that is slow. Whether anybody still reads. */
export async function print(output: Output, text: string): Promise<boolean> {
  watch(output)
  if (!isRead(output)) return false
  if (output.write(text) === false) await taken(output)
  return isRead(output)
}

function watch(output: Output): void {
  if (watched.has(output)) return
  watched.add(output)
  output.on?.('error', () => unread.add(output))
}

/** Resolves when more may be written, or nobody is there to read it. */
function taken(output: Output): Promise<void> {
  if (output.on === undefined) return Promise.resolve()
  const events = ['drain', 'close', 'error'] as const
  return new Promise((resolve) => {
    const told = () => {
      for (const event of events) output.off?.(event, told)
      resolve()
    }
    for (const event of events) output.on?.(event, told)
  })
}

function isRead(output: Output): boolean {
  return output.writable !== false && !unread.has(output)
}
