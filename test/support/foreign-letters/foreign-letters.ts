import { readFileSync } from 'node:fs'
import type { Header } from '../../../src/model/index.js'

/** Dead letters that something other than Weir has written; `make.ts` has them made. */
export interface ForeignLetters {
  /** What wrote them, and in which version. */
  readonly by: string
  readonly letters: readonly {
    readonly key: string | null
    readonly value: string | null
    readonly timestamp: number
    /** Names, and values in hexadecimal digits; of a stack trace the beginning. */
    readonly headers: readonly (readonly [name: string, value: string])[]
  }[]
}

/** What was kept of them, with headers as a client takes them. */
export function foreignLetters() {
  const made = JSON.parse(readFileSync(new URL('letters.json', import.meta.url), 'utf8')) as readonly ForeignLetters[]
  return made.map(({ by, letters }) => ({
    by,
    letters: letters.map((letter) => ({
      ...letter,
      headers: letter.headers.map(([name, value]): Header => ({ [name]: Buffer.from(value, 'hex') })),
    })),
  }))
}
