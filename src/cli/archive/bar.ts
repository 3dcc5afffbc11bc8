import type { Io } from '../io.js'

const width = 24
const everyMs = 100

/** Tells how far something has come that may take long. */
export interface Bar {
  at(done: number): void
  /** Takes it away. */
  end(): void
}

/** A bar on the terminal, of `what` is being done, beside what the command prints; nothing where there is none. */
export function barOf({ stderr }: Io, what: string, total?: number): Bar {
  if (stderr.isTTY !== true) return { at: () => undefined, end: () => undefined }
  let drawnAt = Number.NEGATIVE_INFINITY
  return {
    at(done) {
      const now = performance.now()
      if (now - drawnAt < everyMs) return
      drawnAt = now
      stderr.write(`\r${what} ${total === undefined ? done.toLocaleString('en') : drawn(done, total)}\u001B[K`)
    },
    end() {
      if (drawnAt >= 0) stderr.write('\r\u001B[K')
      drawnAt = Number.NEGATIVE_INFINITY
    },
  }
}

function drawn(done: number, total: number): string {
  const part = total === 0 ? 1 : Math.min(1, done / total)
  const full = Math.round(part * width)
  const counts = `${done.toLocaleString('en')} of ${total.toLocaleString('en')}`
  return `${'█'.repeat(full)}${'░'.repeat(width - full)} ${Math.floor(part * 100)} % (${counts})`
}
