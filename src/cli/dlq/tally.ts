import type { Io } from '../io.js'
import { painter, table } from '../paint.js'

interface Line {
  letters: number
  readonly first: string
}

/** How many letters came to the same, and the first of them. */
export class Tally {
  private readonly lines = new Map<string, Line>()

  add(what: string, { at }: { readonly at: string }): void {
    const line = this.lines.get(what)
    if (line === undefined) this.lines.set(what, { letters: 1, first: at })
    else line.letters++
  }

  text(io: Io): string[] {
    if (this.lines.size === 0) return []
    const rows = [...this.lines]
      .sort(([, one], [, other]) => other.letters - one.letters)
      .map(([what, { letters, first }]) => [letters.toLocaleString('en'), what, first])
    const [heading = '', ...lines] = table([['letters', 'what', 'the first'], ...rows])
    return [painter(io.stdout, io)('dim', heading), ...lines]
  }
}
